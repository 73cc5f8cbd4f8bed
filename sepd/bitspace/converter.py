"""Market events to bit planes (BITSPACE.md section 1)."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sepd.bitspace.planes import PLANES, Event, Plane
from sepd.errors import InputError

DIRECTION: Final = "direction"


@dataclass(frozen=True, slots=True, eq=False)
class BitPlanes:
    """Planes of one instrument and granularity.

    bits : uint8 0/1 per event, by plane name
    starts : int64, the first event of each segment
    """

    bits: dict[str, NDArray[np.uint8]]
    starts: NDArray[np.int64]

    @property
    def direction(self) -> NDArray[np.uint8]:
        """The plane that is always there."""
        return self.bits[DIRECTION]


class MarketDataConverter:
    """Turns ticks or complete candles into bit planes, whole histories or one by one.

    planes : names out of `PLANES`; "direction" is always first
    max_gap_ns : a longer time between two events ends the segment; None is no limit
    reopenings : ascending UTC ns at which the market reopens; the first event at or after
        one begins a segment

    Raises
    ------
    InputError
        naming the argument and what is legal.
    """

    def __init__(
        self,
        planes: Sequence[str] = (DIRECTION,),
        max_gap_ns: int | None = None,
        reopenings: ArrayLike = (),
    ) -> None:
        unknown = [name for name in planes if name not in PLANES]
        if unknown:
            raise InputError(f"planes must be among {', '.join(PLANES)}; got {unknown[0]!r}")
        if max_gap_ns is not None and max_gap_ns <= 0:
            raise InputError(f"max_gap_ns must be above 0, got {max_gap_ns}")
        self._reopenings = np.asarray(reopenings, np.int64)
        if np.any(self._reopenings[1:] < self._reopenings[:-1]):
            raise InputError("reopenings must ascend")
        self.planes = tuple(PLANES[name] for name in dict.fromkeys((DIRECTION, *planes)))
        self._max_gap_ns = max_gap_ns

    def convert(
        self,
        time_ns: NDArray[np.int64],
        bid: NDArray[np.int64],
        ask: NDArray[np.int64],
        span: NDArray[np.int64] | None = None,
        volume: NDArray[np.int64] | None = None,
    ) -> BitPlanes:
        """Planes of many events, oldest first.

        time_ns : UTC ns, ascending; bid, ask : points of the tick or of the candle's close
        span, volume : high − low in points and ticks per candle, where they are known
        """
        _check_columns(time_ns=time_ns, bid=bid, ask=ask, span=span, volume=volume)
        starts = self._starts(time_ns)
        elapsed = np.diff(time_ns, prepend=time_ns[:1])
        elapsed[starts[starts < time_ns.size]] = 0
        none = np.zeros(time_ns.size, np.int64)
        events = Event(
            bid, ask, elapsed, none if span is None else span, none if volume is None else volume
        )
        bits = {plane.name: plane.batch(events, starts.tolist()) for plane in self.planes}
        return BitPlanes(bits, starts)

    def live(self) -> "LiveConverter":
        """A converter that takes the same events one by one."""
        return LiveConverter(self.planes, self._max_gap_ns, self._reopenings.tolist())

    def _starts(self, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        era = np.searchsorted(self._reopenings, time_ns, side="right")
        begins = era[1:] != era[:-1]
        if self._max_gap_ns is not None:
            begins |= np.diff(time_ns) > self._max_gap_ns
        return np.concatenate((np.zeros(1, np.int64), np.flatnonzero(begins) + 1))


@dataclass(frozen=True, slots=True)
class LiveBits:
    """The bits of one event, in the order of the converter's planes.

    begins : the event is the first of a segment
    """

    begins: bool
    bits: tuple[int, ...]


class LiveConverter:
    """Bits event by event; equal to the batch over the same events."""

    def __init__(
        self, planes: tuple[Plane, ...], max_gap_ns: int | None, reopenings: list[int]
    ) -> None:
        self._planes = planes
        self._max_gap_ns = max_gap_ns
        self._reopenings = reopenings
        self._rules = [plane.rule() for plane in planes]
        self._before_ns: int | None = None
        self._era = 0

    def push(self, time_ns: int, bid: int, ask: int, span: int = 0, volume: int = 0) -> LiveBits:
        """Take the next event.

        Raises
        ------
        InputError
            where `time_ns` lies before that of the event before; the state is unchanged.
        """
        before = self._before_ns
        if before is not None and time_ns < before:
            raise InputError(f"time_ns must ascend: {time_ns} came after {before}")
        era = bisect_right(self._reopenings, time_ns)
        elapsed = 0 if before is None else time_ns - before
        begins = before is None or era != self._era or self._too_long(elapsed)
        if begins:
            self._rules = [plane.rule() for plane in self._planes]
            elapsed = 0
        self._before_ns = time_ns
        self._era = era
        event = Event(bid, ask, elapsed, span, volume)
        pairs = zip(self._planes, self._rules, strict=True)
        return LiveBits(begins, tuple(rule.push(plane.series(event)) for plane, rule in pairs))

    def _too_long(self, elapsed: int) -> bool:
        return self._max_gap_ns is not None and elapsed > self._max_gap_ns


def _check_columns(**columns: NDArray[np.int64] | None) -> None:
    time_ns = columns["time_ns"]
    for name, column in columns.items():
        if column is None or time_ns is None:
            continue
        if column.ndim != 1 or column.dtype != np.int64:
            raise InputError(f"{name} must be a one-dimensional int64 array")
        if column.size != time_ns.size:
            raise InputError(f"{name} must have as many values as time_ns, {time_ns.size}")
    if time_ns is not None and np.any(time_ns[1:] < time_ns[:-1]):
        raise InputError("time_ns must ascend")
