"""Coarser candles from base candles: M1 becomes M5, M15, H1 and so on."""

from __future__ import annotations

from collections.abc import Sequence

from sepd.domain.market import Candle, Granularity
from sepd.errors import InputError
from sepd.market.coverage import Coverage


def merged(granularity: Granularity, start_ns: int, parts: Sequence[Candle]) -> Candle:
    """The candle of `granularity` from `start_ns` that consecutive finer `parts` make."""
    first, last = parts[0], parts[-1]
    return Candle(
        first.instrument,
        granularity,
        start_ns,
        first.bid_open,
        max([part.bid_high for part in parts]),
        min([part.bid_low for part in parts]),
        last.bid_close,
        first.ask_open,
        max([part.ask_high for part in parts]),
        min([part.ask_low for part in parts]),
        last.ask_close,
        sum([part.volume for part in parts]),
    )


class CoarseCandles:
    """Keeps recent base candles and merges those of each period that is over and complete.

    Base candles are kept for the running and the previous period of the coarsest length, so
    that a repair or a correction of them can still be followed.
    """

    __slots__ = (
        "_base",
        "_built",
        "_coverage",
        "_emitted",
        "_forget_ns",
        "_lengths",
        "_longest_ns",
        "_open",
    )

    def __init__(
        self, base: Granularity, granularities: Sequence[Granularity], coverage: Coverage
    ) -> None:
        lengths = sorted(set(granularities) - {base}, key=lambda length: length.ns)
        for length in lengths:
            if length.ns < base.ns or length.ns % base.ns:
                raise InputError(f"{length} candles cannot be built from {base} candles.")
        self._lengths = [(length, length.ns) for length in lengths]
        self._longest_ns = (lengths[-1] if lengths else base).ns
        self._base = base
        self._coverage = coverage
        self._built: dict[int, Candle] = {}
        self._open: dict[Granularity, int] = {}
        self._emitted: dict[Granularity, set[int]] = {length: set() for length in lengths}
        self._forget_ns = 0

    def put(self, candle: Candle) -> None:
        """Take a complete base candle."""
        time_ns = candle.time_ns
        self._built[time_ns] = candle
        for length, length_ns in self._lengths:
            start = time_ns - time_ns % length_ns
            if start >= self._open.get(length, start):
                self._open[length] = start

    def base_candle(self, time_ns: int) -> Candle | None:
        """The base candle that starts at `time_ns`; None if there is none or not any more."""
        return self._built.get(time_ns)

    def close(self, now_ns: int) -> list[Candle]:
        """Candles of the periods that end by `now_ns`, finest first."""
        done: list[Candle] = []
        for length, length_ns in self._lengths:
            start = self._open.get(length)
            if start is not None and start + length_ns <= now_ns:
                del self._open[length]
                done += self._emit(length, start)
        if now_ns >= self._forget_ns:
            self._forget(now_ns)
        return done

    def repaired(self, from_ns: int, to_ns: int, now_ns: int) -> list[Candle]:
        """Candles ended by `now_ns` that what was put in [from_ns, to_ns) made complete."""
        done = []
        for length, _ in self._lengths:
            first = length.floor(from_ns)
            starts = {length.floor(time) for time in self._built if first <= time < to_ns}
            for start in sorted(starts - self._emitted[length]):
                if start + length.ns <= now_ns:
                    done += self._emit(length, start)
        return done

    def revised(self, candle: Candle) -> list[Candle]:
        """Replace a base candle; returns the candles handed out before that it changes."""
        before = self._built.get(candle.time_ns)
        if before is None or before == candle:
            return []
        self._built[candle.time_ns] = candle
        starts = [(length, length.floor(candle.time_ns)) for length, _ in self._lengths]
        return [
            merged(length, start, self._parts(length, start))
            for length, start in starts
            if start in self._emitted[length]
        ]

    def _emit(self, length: Granularity, start: int) -> list[Candle]:
        if start in self._emitted[length] or not self._coverage.holds(start, start + length.ns):
            return []
        self._emitted[length].add(start)
        return [merged(length, start, self._parts(length, start))]

    def _parts(self, length: Granularity, start: int) -> list[Candle]:
        times = range(start, start + length.ns, self._base.ns)
        return [self._built[time] for time in times if time in self._built]

    def _forget(self, now_ns: int) -> None:
        start = now_ns - now_ns % self._longest_ns
        horizon = start - self._longest_ns
        self._forget_ns = start + self._longest_ns
        self._built = {time: one for time, one in self._built.items() if time >= horizon}
        for length, starts in self._emitted.items():
            self._emitted[length] = {start for start in starts if start >= horizon}
        self._coverage.forget(horizon)
