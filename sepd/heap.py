"""The heap of a long-lived process."""

from __future__ import annotations

import gc

THRESHOLDS = 7_000, 2, 10
"""Objects, net, after which the youngest are walked, and walks of each age until the next. An
order makes about 15, so one in 300 meets a walk, where the interpreter's 700 are met by one in 23.
"""


def freeze_heap() -> None:
    """Spare what the start made every later walk of the garbage collector.

    It is some hundred thousand objects that live as long as the process: a walk takes 50 ms, in
    which no event is dealt with. What comes later is collected, rarely and in larger portions.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
