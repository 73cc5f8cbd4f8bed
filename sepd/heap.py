"""The heap of a long-lived process."""

from __future__ import annotations

import gc


def freeze_heap() -> None:
    """Spare what the start made every later walk of the garbage collector.

    It is some hundred thousand objects that live as long as the process: a walk takes 50 ms, in
    which no event is dealt with. What comes later is collected as ever.
    """
    gc.collect()
    gc.freeze()
