"""The market as the rules see it: candles built from quotes, and readings of their bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sepd.domain.market import Candle, Gap, Granularity, Instrument, Quote
from sepd.market.candles import CandleBuilder
from sepd.settings import BitspaceSettings, MarketSettings
from sepd.signals.rule import Reading
from sepd.signals.series import Series


class InstrumentView:
    """Candles and readings of one instrument. Pure: fed by the consumer alone."""

    def __init__(
        self, instrument: Instrument, market: MarketSettings, bitspace: BitspaceSettings
    ) -> None:
        granularities = market.all_granularities
        self.builder = CandleBuilder(instrument, market.base, granularities)
        self.series = {
            granularity: Series(granularity, bitspace, market.max_gap_candles)
            for granularity in granularities
        }

    def quote(self, quote: Quote) -> Sequence[Candle]:
        """Take a quote; returns the candles it completes, finest first, their readings made."""
        done = self.builder.add(quote)
        if done:
            self._read(done)
        return done

    def heartbeat(self, time_ns: int) -> Sequence[Candle]:
        """Broker time passed; returns the candles that ended."""
        return self._read(self.builder.advance(time_ns))

    def repair(self, candle: Candle) -> Sequence[Candle]:
        """Take a complete base candle that was fetched; returns it and what it completes."""
        return self._read([candle, *self.builder.preload([candle])])

    def gap(self, gap: Gap) -> None:
        """Prices were missed for good: candles over the gap stay incomplete, segments end."""
        self.builder.gap(gap.from_ns, gap.to_ns)
        for series in self.series.values():
            series.reset()

    def readings(self) -> list[Reading]:
        """Newest valid reading of each granularity."""
        return [series.reading for series in self.series.values() if series.reading]

    def counts(self) -> dict[Granularity, int]:
        """Complete candles so far, by granularity."""
        return {granularity: series.candles for granularity, series in self.series.items()}

    def _read(self, candles: Sequence[Candle]) -> Sequence[Candle]:
        for candle in candles:
            self.series[candle.granularity].push(candle)
        return candles


def view_market(
    instruments: Mapping[str, Instrument],
    names: Sequence[str],
    market: MarketSettings,
    bitspace: BitspaceSettings,
) -> dict[str, InstrumentView]:
    """A view of each named instrument."""
    return {name: InstrumentView(instruments[name], market, bitspace) for name in names}
