"""While an entry's commit is on its way, its request is made ready; nothing is sent for it."""

from __future__ import annotations

import asyncio

from sepd.clock import EventClock
from sepd.domain.order import OrderIntent
from sepd.domain.signal import Signal
from sepd.execution.executor import Executor
from sepd.execution.intent import exit_intent
from sepd.execution.reconcile import recover
from sepd.risk.book import Book
from tests.support.broker import FakeBroker
from tests.support.store import FaultyStore
from tests.support.trading import ACCOUNT, EUR_USD, NOON, PAIRS, make_entry, make_signal

SIGNAL = make_signal(1)
ENTRY = make_entry(SIGNAL)


class AskedBroker(FakeBroker):
    """Remembers what it was to make ready."""

    def __init__(self) -> None:
        super().__init__([EUR_USD], {"EUR_USD": (109_990, 110_000)})
        self.rehearsed: list[OrderIntent] = []
        self.ready = asyncio.Event()

    def rehearse(self, intent: OrderIntent) -> None:
        self.rehearsed.append(intent)
        self.ready.set()


class SlowStore(FaultyStore):
    """Commits when `broker` has been asked to make the request ready."""

    def __init__(self, broker: AskedBroker) -> None:
        super().__init__()
        self._broker = broker

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        await self._broker.ready.wait()
        assert self._broker.placed == []
        await super().commit_intent(intent, signal, snapshot)


async def carried_out(broker: AskedBroker, store: FaultyStore, *intents: OrderIntent) -> None:
    """Each intent submitted and brought to its end."""
    await recover(broker, store)
    executor = Executor(broker, store, EventClock(NOON), Book("USD", PAIRS))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(executor.run())
        for intent in intents:
            assert not await executor.submit(intent, SIGNAL, b"{}")
            await executor.drain()
        task.cancel()


async def test_the_request_of_an_entry_is_made_ready_during_its_commit() -> None:
    broker = AskedBroker()
    async with asyncio.timeout(5):
        await carried_out(broker, SlowStore(broker), ENTRY)
    assert broker.rehearsed == [ENTRY]
    assert broker.placed == [ENTRY]


async def test_what_has_been_sent_is_not_made_ready_again() -> None:
    broker = AskedBroker()
    await carried_out(broker, FaultyStore(), ENTRY)  # commits within the call
    assert broker.rehearsed == []
    assert broker.placed == [ENTRY]


async def test_an_exit_is_not_made_ready() -> None:
    broker = AskedBroker()
    broker.ready.set()
    store = SlowStore(broker)
    broker.execute(ENTRY)
    trade = next(iter(broker.open_trades.values()))
    leaving = exit_intent(ACCOUNT, SIGNAL.id, trade, now_ns=NOON, checkpoint=len(broker.rows))
    await carried_out(broker, store, leaving)
    assert broker.rehearsed == []
    assert broker.placed == [leaving]
