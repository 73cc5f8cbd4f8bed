"""A consumer that keeps what the feeds brought."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from sepd.domain.account import TransactionHeartbeat
from sepd.domain.market import Candle, Gap, Granularity, Heartbeat, Instrument, Quote
from sepd.feed import EventQueue
from sepd.market.candles import CandleBuilder


class Seen:
    """What a consumer made of the queue."""

    def __init__(self, instruments: Sequence[str], base: Granularity) -> None:
        self.transactions: list[int] = []
        self.quotes: dict[str, dict[Quote, float]] = defaultdict(dict)
        self.candles: dict[str, list[Candle]] = defaultdict(list)
        self.gaps: list[Gap] = []
        self.connections_s: list[float] = []
        self.requests_s: list[float] = []
        self._builders = {name: CandleBuilder(Instrument(name), base, ()) for name in instruments}

    async def consume(self, queue: EventQueue) -> None:
        """Build candles as the pipeline does."""
        now_s = asyncio.get_running_loop().time
        while True:
            for event in await queue.get_batch(256):
                match event.payload:
                    case Quote() as quote:
                        self.quotes[quote.instrument][quote] = now_s()
                        made = self._builders[quote.instrument].add(quote)
                        self.candles[quote.instrument] += made
                    case Candle() as candle:
                        more = self._builders[candle.instrument].preload([candle])
                        self.candles[candle.instrument] += [candle, *more]
                    case Gap() as gap:
                        self.gaps.append(gap)
                        self._builders[gap.instrument].gap(gap.from_ns, gap.to_ns)
                    case Heartbeat(time_ns=time_ns):
                        for name, builder in self._builders.items():
                            self.candles[name] += builder.advance(time_ns)
                    case TransactionHeartbeat():
                        pass
                    case event_of_account:
                        self.transactions.append(event_of_account.transaction_id)
