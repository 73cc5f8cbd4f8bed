"""Candles of one instrument and granularity as a bit stream, and its newest reading."""

from __future__ import annotations

from sepd.bitspace import Row, Stream
from sepd.domain.market import Candle, Granularity
from sepd.domain.signal import Metrics
from sepd.settings import BitspaceSettings
from sepd.signals.rule import Reading


class Series:
    """The direction plane (BITSPACE.md section 1) of complete candles, one at a time.

    A hole longer than `max_gap_candles` of its own granularity, a closed market among them, ends
    the segment: no window reaches across it.
    """

    def __init__(
        self, granularity: Granularity, settings: BitspaceSettings, max_gap_candles: int
    ) -> None:
        self.granularity = granularity
        self.reading: Reading | None = None
        self.candles = 0
        self._max_gap_ns = max_gap_candles * granularity.ns
        self._stream = Stream(settings.window, settings.order, iterations=settings.iterations)
        self._last: Candle | None = None
        self._bit = 0

    def push(self, candle: Candle) -> Row:
        """Take the next complete candle and give its row; `reading` follows."""
        last = self._last
        if last is None or candle.time_ns - last.end_ns > self._max_gap_ns:
            self.reset()
        elif candle.close2 != last.close2:
            self._bit = int(candle.close2 > last.close2)
        self._last = candle
        self.candles += 1
        row = self._stream.push(self._bit)
        self.reading = (
            Reading(
                self.granularity,
                candle.end_ns,
                Metrics(
                    coherence=row.damped_coherence,
                    stability=row.damped_stability,
                    entropy=row.damped_entropy,
                    polarity=row.damped_polarity,
                ),
            )
            if row.steps
            else None
        )
        return row

    def reset(self) -> None:
        """End the segment: the next candle begins another with bit 0."""
        self._stream.reset()
        self._last = None
        self._bit = 0
        self.reading = None
