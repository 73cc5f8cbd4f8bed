"""The price feed: demultiplexing, repair, pacing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest

from sepd.clock import EventClock
from sepd.domain.event import MarketEvent, Payload
from sepd.domain.market import Candle, Gap, Granularity, Heartbeat, Quote
from sepd.errors import BrokerRejected, TransientError
from sepd.feed import EventQueue, PriceFeed, Producer, Staleness, TransactionFeed
from sepd.feed.prices import FETCHES
from sepd.ports import PriceBatch
from sepd.supervise import Backoff, supervise
from tests.support.feed import MINUTE, NOON, S, ScriptedBroker, candle, other, quote
from tests.support.virtual import run_virtually

PAIRS = ("EUR_USD", "USD_JPY")


class Feeds:
    """A price feed with what it needs."""

    def __init__(
        self,
        *,
        paced: bool = False,
        capacity: int = 1_000,
        pairs: Sequence[str] = PAIRS,
        broker: ScriptedBroker | None = None,
    ) -> None:
        self.broker = broker or ScriptedBroker()
        self.clock = EventClock(1)
        self.queue = EventQueue(self.clock, capacity, paced=paced)
        self.transactions = TransactionFeed(self.broker, self.queue, 6, wait_s=5)
        self.staleness = Staleness(self.clock, pairs)
        self.prices = PriceFeed(
            self.broker,
            self.queue,
            pairs,
            transactions=self.transactions,
            staleness=self.staleness,
            base=Granularity.M1,
            lag_waits_s=(0.0, 0.0),
        )

    def script(self, *batches: PriceBatch, cut: bool = False) -> None:
        """The next stream brings `batches`, then breaks or ends."""

        async def stream() -> AsyncIterator[PriceBatch]:
            for batch in batches:
                yield batch
            if cut:
                raise TransientError("cut")

        self.broker.prices.append(stream)

    async def run(self, *items: Quote | Heartbeat, cut: bool = False) -> Sequence[Payload]:
        """Run over a stream of `items`; returns what came to be on the queue."""
        self.script(PriceBatch(items), cut=cut)
        if cut:
            with pytest.raises(TransientError):
                await self.prices.run()
        else:
            await self.prices.run()
        return await self.drained()

    async def drained(self) -> Sequence[Payload]:
        if not self.queue.depth:
            return []
        return [event.payload for event in await self.queue.get_batch(1_000)]


async def test_quotes_of_all_instruments_travel_in_their_order() -> None:
    feeds = Feeds(paced=True)
    items = (quote(NOON), quote(NOON, instrument="USD_JPY"), quote(NOON + 2))
    assert await feeds.run(*items) == list(items)


async def test_of_a_tapes_heartbeats_only_the_one_that_waits_for_us_is_put() -> None:
    feeds = Feeds(paced=True)
    feeds.script(
        PriceBatch((quote(NOON), Heartbeat(NOON + 1))),
        PriceBatch((Heartbeat(NOON + 2),), token="t"),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(feeds.prices.run())
        got: list[MarketEvent] = []
        while len(got) < 2:
            got += await feeds.queue.get_batch(10)
            feeds.queue.processed(got[-1].sequence)
    assert [event.payload for event in got] == [quote(NOON), Heartbeat(NOON + 2)]


async def test_an_instrument_nobody_asked_for_is_dropped_and_counted() -> None:
    feeds = Feeds(paced=True)
    assert await feeds.run(quote(NOON, instrument="XAU_USD"), quote(NOON)) == [quote(NOON)]
    assert feeds.prices.unknown == 1


async def test_missed_candles_come_before_the_first_quote_after_an_interruption() -> None:
    feeds = Feeds(paced=True)
    await feeds.run(quote(NOON + S), quote(NOON + S, instrument="USD_JPY"), cut=True)
    feeds.broker.history = [candle(NOON + i * MINUTE) for i in range(4)]
    back = NOON + 3 * MINUTE + 5 * S
    after = NOON + 4 * MINUTE
    got = await feeds.run(Heartbeat(back - 1), quote(back), quote(back + 1), quote(after))
    assert got == [
        *(candle(NOON + i * MINUTE) for i in range(3)),
        quote(back),
        quote(back + 1),
        candle(NOON + 3 * MINUTE),
        quote(after),
    ]


async def test_instruments_are_repaired_independently() -> None:
    feeds = Feeds(paced=True)
    yen = quote(NOON + S, instrument="USD_JPY")
    await feeds.run(quote(NOON + S), yen, cut=True)
    feeds.broker.history = [candle(NOON)]
    back = NOON + MINUTE
    got = await feeds.run(yen, quote(back))
    assert got == [candle(NOON), quote(back)]
    assert feeds.prices.producers["USD_JPY"].live


class CountingBroker(ScriptedBroker):
    """Counts how many ask for candles at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        return await super().candles(instrument, granularity, from_ns, to_ns)


async def test_few_repairs_are_asked_for_at_a_time() -> None:
    pairs = [f"P{number:02}_USD" for number in range(28)]
    broker = CountingBroker()
    feeds = Feeds(paced=True, pairs=pairs, broker=broker)
    await feeds.run(*(quote(NOON + S, instrument=name) for name in pairs), cut=True)
    broker.history = [candle(NOON, name) for name in pairs]
    await feeds.run(*(quote(NOON + MINUTE, instrument=name) for name in pairs))
    assert len(broker.asked) == len(pairs)
    assert broker.most == FETCHES


async def test_a_candle_that_the_broker_publishes_late_is_waited_for() -> None:
    feeds = Feeds(paced=True)
    await feeds.run(quote(NOON + S), cut=True)
    feeds.broker.appearing.extend([[], [candle(NOON)]])
    got = await feeds.run(quote(NOON + MINUTE))
    assert got == [candle(NOON), quote(NOON + MINUTE)]
    assert len(feeds.broker.asked) == 2


async def test_a_repair_that_fails_does_not_end_the_feed() -> None:
    feeds = Feeds()
    await feeds.run(quote(NOON + S), cut=True)
    feeds.broker.history = [candle(NOON)]
    feeds.broker.faults.append(TransientError("504"))
    for _ in range(2):
        feeds.script(PriceBatch((quote(NOON + MINUTE),)))
    backoff = Backoff(random.Random(1), 0.001, 0.002)
    await supervise("prices", feeds.prices.run, backoff, on_fault=lambda *_: None)
    assert await feeds.drained() == [candle(NOON), quote(NOON + MINUTE)]


async def test_a_repair_that_fails_for_now_is_done_by_the_next_run() -> None:
    feeds = Feeds(paced=True)
    await feeds.run(quote(NOON + S), cut=True)
    feeds.broker.history = [candle(NOON)]
    feeds.broker.faults.append(TransientError("504"))
    assert await feeds.run(quote(NOON + MINUTE), cut=True) == []
    assert await feeds.run(quote(NOON + MINUTE)) == [candle(NOON), quote(NOON + MINUTE)]


async def test_what_the_broker_refuses_to_give_is_a_gap() -> None:
    feeds = Feeds(paced=True)
    await feeds.run(quote(NOON + S), cut=True)
    feeds.broker.faults.append(BrokerRejected("X", "no such candles"))
    back = NOON + MINUTE
    assert await feeds.run(quote(back)) == [Gap("EUR_USD", NOON, back), quote(back)]


async def test_heartbeats_are_held_back_while_they_would_close_a_partial_candle() -> None:
    feeds = Feeds()
    end = NOON + MINUTE
    got = await feeds.run(quote(NOON + S), Heartbeat(end - 1), Heartbeat(end), Heartbeat(end + 1))
    assert got == [quote(NOON + S), Heartbeat(end - 1)]


async def test_an_instrument_without_a_price_does_not_hold_the_heartbeats_back() -> None:
    feeds = Feeds()
    feeds.prices.producers["USD_JPY"] = Producer("USD_JPY", Granularity.M1, NOON, watched=False)
    assert await feeds.run(quote(NOON + S), Heartbeat(NOON + 2 * S)) == [
        quote(NOON + S),
        Heartbeat(NOON + 2 * S),
    ]


async def test_a_heartbeat_passes_once_the_candle_is_whole() -> None:
    feeds = Feeds()
    feeds.broker.appearing.extend([[], [candle(NOON)]])
    end = NOON + MINUTE
    got = await feeds.run(quote(NOON + S), Heartbeat(end), Heartbeat(end + 1), quote(end + 2))
    assert got == [quote(NOON + S), candle(NOON), Heartbeat(end + 1), quote(end + 2)]


def test_a_skipped_heartbeat_interrupts_the_stream() -> None:
    async def play(pauses_s: Sequence[float], step_s: int = 5) -> None:
        feeds = Feeds()

        async def stream() -> AsyncIterator[PriceBatch]:
            for number, pause_s in enumerate(pauses_s):
                await asyncio.sleep(pause_s)
                yield PriceBatch((Heartbeat(NOON + number * step_s * S),))

        feeds.broker.prices.append(stream)
        await feeds.prices.run()

    run_virtually(play([0, 5, 5.5, 4.5]))
    run_virtually(play([0, 0.1, 0.1], step_s=50))
    run_virtually(play([0, 30, 5], step_s=5))
    with pytest.raises(TransientError, match="skipped a heartbeat"):
        run_virtually(play([0, 10, 5], step_s=10))


async def test_a_token_is_acknowledged_when_the_consumer_has_dealt_with_all() -> None:
    feeds = Feeds(paced=True)
    feeds.script(PriceBatch((quote(NOON), quote(NOON + 1)), token="t1"))
    async with asyncio.TaskGroup() as group:
        group.create_task(feeds.prices.run())
        batch = await feeds.queue.get_batch(10)
        await asyncio.sleep(0)
        assert feeds.broker.acknowledged == []
        feeds.queue.processed(batch[-1].sequence)
    assert feeds.broker.acknowledged == ["t1"]


async def test_prices_wait_for_the_transactions_they_name() -> None:
    feeds = Feeds(paced=True)
    feeds.script(PriceBatch((quote(NOON),), after_transaction=8))

    async def stream() -> AsyncIterator[Sequence[object]]:
        yield (other(7),)
        assert feeds.queue.depth == 1
        yield (other(8),)

    feeds.broker.account_streams.append(stream)  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        group.create_task(feeds.prices.run())
        await asyncio.sleep(0)
        assert feeds.queue.depth == 0
        group.create_task(feeds.transactions.run())
    assert await feeds.drained() == [other(7), other(8), quote(NOON)]


async def test_a_price_is_stale_before_it_came_during_silence_and_until_it_is_repaired() -> None:
    feeds = Feeds(paced=True)
    assert feeds.staleness.stale("EUR_USD")
    assert feeds.staleness.last_event_age_ms("EUR_USD") is None
    await feeds.run(quote(NOON))
    assert not feeds.staleness.stale("EUR_USD")
    assert feeds.staleness.stale("USD_JPY")
    assert feeds.staleness.last_quote_ns("EUR_USD") == NOON
    feeds.clock.advance(1 + 3 * S)
    assert feeds.staleness.last_event_age_ms("EUR_USD") == 3_000
    feeds.clock.advance(1 + 11 * S)
    assert feeds.staleness.stale("EUR_USD")
    await feeds.run(Heartbeat(NOON + 1), cut=True)
    assert feeds.staleness.stale("EUR_USD")
    await feeds.run(quote(NOON + 2))
    assert not feeds.staleness.stale("EUR_USD")
