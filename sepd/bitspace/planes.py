"""Bit planes: what a bit says about an event, each plane causal within its segment.

A plane is an integer series of the events and a rule that turns the series into bits. Rules
see one segment from its first value on and nothing after the value they judge.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

MEDIAN_SPAN: Final = 64


class Event(NamedTuple):
    """One event, or the columns of many: int, or int64 arrays, alike.

    bid, ask : points of the tick, or of the candle's close
    elapsed_ns : time since the event before in the segment, 0 at its start
    span : high − low of the candle in points, 0 for a tick
    volume : ticks in the candle, 0 where unknown
    """

    bid: Any
    ask: Any
    elapsed_ns: Any
    span: Any
    volume: Any


class Rule(Protocol):
    """Turns the values of one segment into bits, in order."""

    def push(self, value: int) -> int:
        """The bit of the next value."""

    def batch(self, values: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The bits of a whole segment, for a rule that has seen nothing yet."""


class Rising:
    """1 above the value before, 0 below it, the bit before where equal; the first bit is 0."""

    def __init__(self) -> None:
        self._before: int | None = None
        self._bit = 0

    def push(self, value: int) -> int:
        """The bit of the next value."""
        if self._before is not None and value != self._before:
            self._bit = int(value > self._before)
        self._before = value
        return self._bit

    def batch(self, values: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The bits of a whole segment."""
        change = np.diff(values, prepend=values[:1])
        moved = np.where(change != 0, np.arange(values.size), 0)
        return (change[np.maximum.accumulate(moved)] > 0).astype(np.uint8)


class AboveMedian:
    """1 above the lower median of the newest 64 values, this one among them, else 0."""

    def __init__(self) -> None:
        self._recent: deque[int] = deque()
        self._sorted: list[int] = []

    def push(self, value: int) -> int:
        """The bit of the next value."""
        if len(self._recent) == MEDIAN_SPAN:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(value)
        insort(self._sorted, value)
        return int(value > self._sorted[(len(self._sorted) - 1) // 2])

    def batch(self, values: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The bits of a whole segment."""
        # a partition of 64 values costs what an insertion costs: one formula serves both
        return np.fromiter(map(self.push, values.tolist()), np.uint8, values.size)


@dataclass(frozen=True, slots=True)
class Plane:
    """A named plane and its one-line definition."""

    name: str
    definition: str
    series: Callable[[Event], Any]
    rule: Callable[[], Rule]

    def batch(self, events: Event, starts: Sequence[int]) -> NDArray[np.uint8]:
        """The bits of many events, each segment by itself."""
        values = np.asarray(self.series(events), np.int64)
        parts = [self.rule().batch(part) for part in np.split(values, starts[1:])]
        return np.concatenate(parts) if parts else np.zeros(0, np.uint8)


PLANES: Final = {
    plane.name: plane
    for plane in (
        Plane("direction", "bid + ask rises", lambda event: event.bid + event.ask, Rising),
        Plane("bid", "the bid rises", lambda event: event.bid, Rising),
        Plane("ask", "the ask rises", lambda event: event.ask, Rising),
        Plane(
            "spread",
            "ask − bid exceeds its running median",
            lambda event: event.ask - event.bid,
            AboveMedian,
        ),
        Plane("range", "high − low exceeds its running median", lambda e: e.span, AboveMedian),
        Plane("volume", "the volume exceeds its running median", lambda e: e.volume, AboveMedian),
        Plane(
            "pause",
            "the time since the event before exceeds its running median",
            lambda event: event.elapsed_ns,
            AboveMedian,
        ),
    )
}
