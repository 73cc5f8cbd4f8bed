"""The market as the rules see it: candles built from quotes, and readings of their bits."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from sepd.bitspace import Stream
from sepd.domain.market import Candle, Gap, Granularity, Instrument, Quote
from sepd.market.candles import CandleBuilder
from sepd.market.crosscheck import Agreement, CrossCheck
from sepd.settings import BitspaceSettings, MarketSettings
from sepd.signals.rule import Reading
from sepd.signals.series import Series, depth_of

RECENT = 15


class InstrumentView:
    """Candles and readings of one instrument. Pure: fed by the consumer alone.

    Args:
        streamed: readings are made when they are asked for; else the caller makes those it takes.
    """

    def __init__(
        self,
        instrument: Instrument,
        market: MarketSettings,
        bitspace: BitspaceSettings,
        *,
        streamed: bool,
    ) -> None:
        granularities = market.all_granularities
        self.builder = CandleBuilder(instrument, market.base, granularities)
        self.check = CrossCheck(self.builder)
        self.series = {
            granularity: Series(
                granularity,
                market.max_gap_candles,
                depth_of(bitspace),
                _stream(bitspace) if streamed else None,
            )
            for granularity in granularities
        }
        self._recent: dict[Granularity, deque[Candle]] = {
            granularity: deque(maxlen=RECENT) for granularity in granularities
        }
        self._unread: dict[Granularity, Series] = {}

    def quote(self, quote: Quote) -> Sequence[Candle]:
        """Take a quote; returns the candles it completes, finest first, their readings made."""
        done = self.builder.add(quote)
        if done:
            self._read(done)
        return done

    def heartbeat(self, time_ns: int) -> Sequence[Candle]:
        """Broker time passed; returns the candles that ended."""
        return self._read(self.builder.advance(time_ns))

    def correct(self, candle: Candle) -> Sequence[Candle]:
        """Take a complete base candle of the broker's: it fills a hole, or stands in for ours.

        Returns it and the coarser candles as they are with it; nothing where ours is the same.
        """
        check = self.check.compare(candle)
        if check.agreement is Agreement.SAME:
            return ()
        return self._read([candle, *check.revised])

    def gap(self, gap: Gap) -> None:
        """Prices were missed for good: candles over the gap stay incomplete, segments end."""
        self.builder.gap(gap.from_ns, gap.to_ns)
        for series in self.series.values():
            series.reset()

    def recent(self, granularity: Granularity) -> Sequence[Candle]:
        """The newest complete candles of one length, oldest first, at most `RECENT`."""
        return self._recent[granularity]

    def readings(self, granularities: Sequence[Granularity]) -> list[Reading]:
        """Newest valid reading of each of `granularities`."""
        newest = [self.series[granularity].reading for granularity in granularities]
        return [reading for reading in newest if reading]

    def take_unread(self) -> list[Series]:
        """Series that took candles since the last call."""
        taken = list(self._unread.values())
        self._unread.clear()
        return taken

    def counts(self) -> dict[Granularity, int]:
        """Complete candles so far, by granularity."""
        return {granularity: series.candles for granularity, series in self.series.items()}

    def _read(self, candles: Sequence[Candle]) -> Sequence[Candle]:
        for candle in candles:
            series = self.series[candle.granularity]
            series.push(candle)
            recent = self._recent[candle.granularity]
            if not recent or candle.time_ns > recent[-1].time_ns:
                recent.append(candle)
            self._unread[candle.granularity] = series
        return candles


def view_market(
    instruments: Mapping[str, Instrument],
    names: Sequence[str],
    market: MarketSettings,
    bitspace: BitspaceSettings,
    *,
    streamed: bool,
) -> dict[str, InstrumentView]:
    """A view of each named instrument."""
    return {
        name: InstrumentView(instruments[name], market, bitspace, streamed=streamed)
        for name in names
    }


def _stream(settings: BitspaceSettings) -> Stream:
    return Stream(settings.window, settings.order, iterations=settings.iterations)
