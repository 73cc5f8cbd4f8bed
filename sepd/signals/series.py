"""Candles of one instrument and granularity as a bit stream, and its newest reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace import Stream
from sepd.bitspace.analyser import Analyser
from sepd.domain.market import Candle, Granularity
from sepd.domain.signal import Metrics
from sepd.settings import BitspaceSettings
from sepd.signals.rule import Reading


class Series:
    """The direction plane (BITSPACE.md section 1) of complete candles, one at a time.

    A hole longer than `max_gap_candles` of its own granularity, a closed market among them, ends
    the segment: no window reaches across it.

    Args:
        depth: newest bits of the segment that `bits` gives.
        stream: makes the reading of each candle as it comes; None leaves it to `read_series`.
    """

    def __init__(
        self, granularity: Granularity, max_gap_candles: int, depth: int, stream: Stream | None
    ) -> None:
        self.granularity = granularity
        self.reading: Reading | None = None
        self.candles = 0
        self._max_gap_ns = max_gap_candles * granularity.ns
        self._depth = depth
        self._stream = stream
        self._last: Candle | None = None
        self._bit = 0
        self._history = 0
        self._length = 0

    def push(self, candle: Candle) -> None:
        """Take the next complete candle."""
        last = self._last
        if last is None or candle.time_ns - last.end_ns > self._max_gap_ns:
            self.reset()
        elif candle.close2 != last.close2:
            self._bit = int(candle.close2 > last.close2)
        self._last = candle
        self.candles += 1
        self._history = (self._history << 1 | self._bit) & ((1 << self._depth) - 1)
        self._length = min(self._length + 1, self._depth)
        if self._stream is not None:
            row = self._stream.push(self._bit)
            damped = (
                row.damped_coherence,
                row.damped_stability,
                row.damped_entropy,
                row.damped_polarity,
            )
            self.read(damped, row.steps)

    def reset(self) -> None:
        """End the segment: the next candle begins another with bit 0."""
        if self._stream is not None:
            self._stream.reset()
        self._last = None
        self._bit = self._history = self._length = 0
        self.reading = None

    def bits(self) -> NDArray[np.uint8]:
        """The newest bits of the segment, oldest first, at most `depth`."""
        text = f"{self._history:0{self._length}b}" if self._length else ""
        return np.frombuffer(text.encode(), np.uint8) - ord("0")

    def read(self, damped: tuple[int, int, int, int], steps: int) -> None:
        """Take damped coherence, stability, entropy and polarity; 0 steps mean invalid."""
        last = self._last
        valid = steps and last is not None
        self.reading = (
            Reading(self.granularity, last.end_ns, Metrics(*damped)) if valid and last else None
        )


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
