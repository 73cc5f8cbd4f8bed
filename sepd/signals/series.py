"""Candles of one instrument and granularity as a bit stream, and its newest reading."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from sepd.bitspace import Row, Stream
from sepd.bitspace.analyser import Analyser
from sepd.domain.market import Candle, Granularity
from sepd.domain.signal import Metrics
from sepd.settings import BitspaceSettings
from sepd.signals.rule import Reading


class Bit(Struct, frozen=True, gc=False):
    """One candle of the segment, as far as its bit needs it: bid + ask of the close."""

    time_ns: int
    close2: int
    bit: int


class Series:
    """The direction plane (BITSPACE.md section 1) of complete candles, one at a time.

    A hole longer than `max_gap_candles` of its own granularity, a closed market among them, ends
    the segment: no window reaches across it.

    Args:
        depth: newest bits of the segment that are kept.
        stream: makes the reading when it is asked for, or by `catch_up`; None leaves it to
            `read_series`.
    """

    def __init__(
        self, granularity: Granularity, max_gap_candles: int, depth: int, stream: Stream | None
    ) -> None:
        self.granularity = granularity
        self.candles = 0
        self._length_ns = granularity.ns
        self._max_step_ns = (1 + max_gap_candles) * granularity.ns
        self._stream = stream
        self._reading: Reading | None = None
        self._due: list[int] = []
        self._ahead: tuple[Row, Row] | None = None
        self._kept: deque[Bit] = deque(maxlen=depth)

    @property
    def reading(self) -> Reading | None:
        """Of the newest candle; None where it is invalid."""
        if self._stream is not None and self._due:
            if self._ahead is not None and len(self._due) == 1:
                self._take(self._ahead[self._due[0]])
            else:
                self._push_due(self._stream)
        return self._reading

    def push(self, candle: Candle) -> None:
        """Take the next complete candle, or one that stands in place of an earlier one."""
        last = self._kept[-1] if self._kept else None
        time_ns, close2 = candle.time_ns, candle.close2
        if last is not None and time_ns <= last.time_ns:
            self._amend(candle)
            return
        self.candles += 1
        if last is None or time_ns - last.time_ns > self._max_step_ns:
            self.reset()
            last = None
        self._append(Bit(time_ns, close2, _direction(last, close2)))

    def reset(self) -> None:
        """End the segment: the next candle begins another with bit 0."""
        if self._stream is not None:
            self._stream.reset()
        self._kept.clear()
        self._due.clear()
        self._ahead = None
        self._reading = None

    def catch_up(self) -> None:
        """Give the stream the bits that came since the last time, and look ahead: the row that the
        next bit gives is ready when it is asked for.
        """
        if self._stream is None:
            return
        if self._due:
            self._push_due(self._stream)
        if self._ahead is None:
            self._ahead = self._stream.ahead()

    def _push_due(self, stream: Stream) -> None:
        row = stream.push_all(self._due)[-1]
        self._due.clear()
        self._ahead = None
        self._take(row)

    def _take(self, row: Row) -> None:
        damped = (
            row.damped_coherence,
            row.damped_stability,
            row.damped_entropy,
            row.damped_polarity,
        )
        self.read(damped, row.steps)

    def bits(self) -> NDArray[np.uint8]:
        """The newest bits of the segment, oldest first, at most `depth`."""
        return np.fromiter((kept.bit for kept in self._kept), np.uint8, len(self._kept))

    def read(self, damped: tuple[int, int, int, int], steps: int) -> None:
        """Take damped coherence, stability, entropy and polarity; 0 steps mean invalid."""
        if not steps:
            self._reading = None
            return
        end_ns = self._kept[-1].time_ns + self._length_ns
        self._reading = Reading(self.granularity, end_ns, Metrics(*damped))

    def _append(self, bit: Bit) -> None:
        self._kept.append(bit)
        if self._stream is not None:
            self._due.append(bit.bit)

    def _amend(self, candle: Candle) -> None:
        """Put `candle` in its place and make every bit since anew; an older one is past caring."""
        if candle.time_ns < self._kept[0].time_ns:
            return
        known = {kept.time_ns: kept.close2 for kept in self._kept}
        self.candles += candle.time_ns not in known
        known[candle.time_ns] = candle.close2
        first = self._kept[0].bit
        self.reset()
        last: Bit | None = None
        for time_ns, close2 in sorted(known.items()):
            bit = first if last is None else _direction(last, close2)
            last = Bit(time_ns, close2, bit)
            self._append(last)


def _direction(last: Bit | None, close2: int) -> int:
    """1 above the last close, 0 below, the last bit where they are equal, 0 at the beginning."""
    if last is None:
        return 0
    return last.bit if close2 == last.close2 else int(close2 > last.close2)


def read_series(series: Sequence[Series], analyser: Analyser) -> None:
    """Make the readings of all `series` in one call of the engine: one launch on a GPU."""
    found = [one for one in series if one.bits().size]
    if not found:
        return
    segments = [one.bits() for one in found]
    result = analyser.analyze(segments)
    damped = result.damped
    last = -1
    for one, bits in zip(found, segments, strict=True):
        last += bits.size
        values = (
            int(damped.coherence[last]),
            int(damped.stability[last]),
            int(damped.entropy[last]),
            int(damped.polarity[last]),
        )
        one.read(values, int(result.steps[last]))


def depth_of(settings: BitspaceSettings) -> int:
    """Bits that a damped row depends on, contexts of its oldest window included."""
    return settings.window + settings.iterations + settings.order
