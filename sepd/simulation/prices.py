"""Recorded prices, retimed: the quotes of a tape in their order, a fixed time apart.

Thirty minutes of recorded hours would hold two bars. So the recorded quotes keep their prices
and their order and are played a few seconds apart; no price is made.
"""

from __future__ import annotations

import random
from array import array
from functools import lru_cache
from pathlib import Path

import numpy as np

from sepd.domain.market import Granularity
from sepd.errors import InputError
from sepd.market.rows import Rejections
from sepd.market.tape import Tape, open_tape

STEP_NS = 3_750_000_000
BASE = Granularity.S15


@lru_cache(maxsize=4)
def recorded(path: Path) -> tuple[Tape, np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    """A tape and its quotes as rows of time, bid, ask."""
    tape = open_tape(path)
    rows = np.array([(q.time_ns, q.bid, q.ask) for q in tape.quotes()], np.int64)
    return tape, rows


def cut(path: Path, rng: random.Random, seconds: float) -> Tape:
    """`seconds` of quotes from a place in the tape that `rng` chooses, `STEP_NS` apart.

    The first keeps the recorded time of its day, on a boundary of `BASE`.

    Raises:
        InputError: the tape holds fewer quotes.
    """
    tape, rows = recorded(path)
    wanted = int(seconds * 1e9) // STEP_NS + 1
    if len(rows) < wanted:
        raise InputError(f"{path}: holds {len(rows)} quotes, a run needs {wanted}.")
    first = rng.randrange(0, len(rows) - wanted + 1)
    chosen = rows[first : first + wanted].copy()
    chosen[:, 0] = BASE.floor(int(chosen[0, 0])) + STEP_NS * np.arange(wanted)
    return Tape(path, tape.instrument, None, _columns(chosen), Rejections(), tape.both_sides)


def _columns(rows: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> list[array[int]]:
    return [array("q", column.tolist()) for column in rows.T]
