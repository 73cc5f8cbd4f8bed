"""Recorded prices, retimed: the quotes of tapes in their order, a fixed time apart.

Thirty minutes of recorded hours would hold two bars. So the recorded quotes keep their prices
and their order and are played a few seconds apart; no price is made. Several pairs are quoted
half as often each, a fixed time after one another.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from sepd.domain.market import Granularity
from sepd.errors import InputError
from sepd.market.rows import Rejections
from sepd.market.tape import Tape, open_tape

HOME = "USD"
STEP_NS = 3_750_000_000
BASE = Granularity.S15
_CLOSE_NS = 2_000_000

Rows = np.ndarray[tuple[int, int], np.dtype[np.int64]]


@lru_cache(maxsize=64)
def recorded(path: Path) -> tuple[Tape, Rows]:
    """A tape and its quotes as rows of time, bid, ask."""
    tape = open_tape(path)
    rows = np.array([(q.time_ns, q.bid, q.ask) for q in tape.quotes()], np.int64)
    return tape, rows


def check(paths: Sequence[Path]) -> None:
    """See that the tapes can be played together.

    Raises:
        InputError: two price one instrument, or one prices nothing in home currency.
    """
    known: dict[str, Path] = {}
    for path in paths:
        pair = recorded(path)[0].instrument
        if pair.name in known:
            raise InputError(
                f"{known[pair.name]} and {path} both price {pair.name}: give one tape of each pair."
            )
        if HOME not in {pair.base, pair.quote}:
            raise InputError(f"{path}: {pair.name} has no {HOME}: give tapes of pairs that have.")
        known[pair.name] = path


def play(paths: Sequence[Path], rng: random.Random, seconds: float) -> tuple[Tape, ...]:
    """`seconds` of quotes of one, some or all of the tapes, as `rng` chooses.

    Each is cut from a place of its own. A single pair is quoted every `STEP_NS`. Several are
    quoted half as often, either evenly spread or so close to one another that what is decided
    on one is still under way when the next is decided.
    """
    chosen = list(paths)
    if len(paths) > 1:
        count = rng.randint(1, len(paths))
        chosen = [paths[number] for number in sorted(rng.sample(range(len(paths)), count))]
    if len(chosen) == 1:
        return (cut(chosen[0], rng, seconds),)
    step_ns = 2 * STEP_NS
    apart_ns = rng.choice((step_ns // len(chosen), min(_CLOSE_NS, step_ns // len(chosen))))
    first = cut(chosen[0], rng, seconds, step_ns)
    later = [
        cut(path, rng, seconds, step_ns, first.start_ns + number * apart_ns)
        for number, path in enumerate(chosen[1:], 1)
    ]
    return first, *later


def cut(
    path: Path,
    rng: random.Random,
    seconds: float,
    step_ns: int = STEP_NS,
    start_ns: int | None = None,
) -> Tape:
    """`seconds` of quotes from a place in the tape that `rng` chooses, `step_ns` apart.

    Args:
        start_ns: time of the first; None keeps its recorded day, on a boundary of `BASE`.

    Raises:
        InputError: the tape holds fewer quotes.
    """
    tape, rows = recorded(path)
    wanted = int(seconds * 1e9) // step_ns + 1
    if len(rows) < wanted:
        raise InputError(f"{path}: holds {len(rows)} quotes, a run needs {wanted}.")
    first = rng.randrange(0, len(rows) - wanted + 1)
    chosen = rows[first : first + wanted].copy()
    origin_ns = BASE.floor(int(chosen[0, 0])) if start_ns is None else start_ns
    chosen[:, 0] = origin_ns + step_ns * np.arange(wanted)
    return Tape(path, tape.instrument, None, _columns(chosen), Rejections(), tape.both_sides)


def _columns(rows: Rows) -> list[array[int]]:
    return [array("q", column.tolist()) for column in rows.T]
