"""What the consumer has taken is in the store soon after, without another event."""

from __future__ import annotations

import asyncio

from sepd.clock import EventClock, SystemClock
from sepd.decide import Decider
from sepd.domain.event import MarketEvent
from sepd.domain.market import Quote
from sepd.execution.executor import Executor
from sepd.feed import EventQueue
from sepd.journal import Arrived, Journal, entries
from sepd.pipeline import JOURNAL_ENTRIES, Pipeline
from sepd.ports import JournalRecord
from sepd.risk.book import Book
from sepd.risk.day import trading_day
from sepd.settings import BitspaceSettings, MarketSettings, RiskSettings, RuleSettings
from sepd.signals.rule import PolarityRule
from sepd.signals.view import view_market
from sepd.simulation.cache import ForgetfulCache
from sepd.storage.memory import MemoryStore
from tests.support.broker import FakeBroker
from tests.support.trading import ACCOUNT, EUR_USD, NOON

PAIRS = {"EUR_USD": EUR_USD}


class SlowStore(MemoryStore):
    """Has no room for journal records until `room` is set."""

    def __init__(self) -> None:
        super().__init__(trading_day=trading_day, clock=SystemClock())
        self.room = asyncio.Event()
        self.room.set()
        self.asked = asyncio.Event()
        self.written = asyncio.Event()

    async def record_journal(self, record: JournalRecord) -> None:
        self.asked.set()
        await self.room.wait()
        await super().record_journal(record)
        self.written.set()

    def sequences(self) -> list[int]:
        """Of the events that are journaled, in the order of the records."""
        arrived = [entry for entry in entries(self.journal) if isinstance(entry, Arrived)]
        return [event.sequence for entry in arrived for event in entry.events]


def make_pipeline(store: MemoryStore) -> Pipeline:
    book, market = Book("USD", PAIRS), MarketSettings()
    return Pipeline(
        queue=EventQueue(SystemClock(), 1_024),
        decider=Decider(
            views=view_market(PAIRS, ["EUR_USD"], market, BitspaceSettings(), streamed=True),
            book=book,
            rule=PolarityRule(RuleSettings()),
            limits=RiskSettings(),
            config_version="0" * 12,
            account_id=ACCOUNT,
        ),
        executor=Executor(FakeBroker([EUR_USD], {}), store, SystemClock(), book),
        journal=Journal(),
        store=store,
        cache=ForgetfulCache(),
        clock=EventClock(NOON),
        stale=lambda _: False,
        skew_ns=lambda: 0,
        on_time=lambda _: None,
        on_progress=lambda _: None,
        timer=SystemClock(),
    )


def batch(sequence: int) -> list[MarketEvent]:
    quote = Quote("EUR_USD", NOON + sequence, 110_000, 110_010)
    return [MarketEvent(sequence, sequence, quote)]


async def test_the_journal_is_written_without_another_event() -> None:
    store = SlowStore()
    pipeline = make_pipeline(store)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pipeline.keep_journal())
        await pipeline.consume(batch(1))
        await store.written.wait()
        task.cancel()
    assert store.sequences() == [1]


async def test_what_one_record_may_hold_is_bounded() -> None:
    store = SlowStore()
    pipeline = make_pipeline(store)
    for sequence in range(1, JOURNAL_ENTRIES + 1):
        await pipeline.consume(batch(sequence))
    assert [record.count for record in store.journal] == [JOURNAL_ENTRIES]


async def test_records_stay_in_order_while_the_store_has_no_room() -> None:
    store = SlowStore()
    store.room.clear()
    pipeline = make_pipeline(store)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pipeline.keep_journal())
        await pipeline.consume(batch(1))
        await store.asked.wait()
        for sequence in range(2, JOURNAL_ENTRIES + 1):
            await pipeline.consume(batch(sequence))
        last = group.create_task(pipeline.consume(batch(JOURNAL_ENTRIES + 1)))
        await asyncio.sleep(0)
        store.room.set()
        await last
        task.cancel()
    assert store.sequences() == list(range(1, JOURNAL_ENTRIES + 2))
