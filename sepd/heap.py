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


def walk_early() -> None:
    """Have the garbage collector walk now, while nothing waits, what it would walk soon."""
    young, middle, old = gc.get_count()
    if young > THRESHOLDS[0] // 2:
        gc.collect(2 if old > THRESHOLDS[2] else 1 if middle > THRESHOLDS[1] else 0)
