"""What the store holds undecided is brought to its end while the daemon runs; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from sepd.clock import EventClock
from sepd.domain.order import OrderIntent, OrderState
from sepd.execution.executor import Executor, Timing
from sepd.execution.machine import Order
from sepd.execution.reconcile import Difference, Kind, audit, recover, watch
from sepd.risk.book import Book
from tests.support.broker import FakeBroker, Fault
from tests.support.store import FaultyStore
from tests.support.trading import EUR_USD, NOON, PAIRS, make_entry, make_signal

FAST = Timing(quiet_window_s=0.01, grace_s=0.005, retry_s=0.001)


class Desk:
    """Broker, store and a running executor; `changes` are the orders that moved."""

    def __init__(self) -> None:
        self.broker = FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)})
        self.store = FaultyStore()
        self.book = Book("USD", PAIRS)
        self.changes: asyncio.Queue[Order] = asyncio.Queue()
        self.executor = Executor(
            self.broker,
            self.store,
            EventClock(NOON),
            self.book,
            observe=self.changes.put_nowait,
            timing=FAST,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.TaskGroup]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.executor.run())
            yield group
            task.cancel()

    async def enter(self, number: int = 1) -> OrderIntent:
        signal = make_signal(number)
        intent = make_entry(signal, checkpoint=self.executor.last_transaction_id)
        assert not await self.executor.submit(intent, signal, b"{}")
        await self.executor.drain()
        return intent

    async def audited(self) -> list[Kind]:
        found = await audit(self.broker, self.store, self.executor)
        assert found is not None
        return [item.kind for item in found]

    async def until(self, intent: OrderIntent, state: OrderState) -> None:
        """Wait for the order to move there."""
        async with asyncio.timeout(5):
            while (order := await self.changes.get()).state is not state:
                assert order.intent.id == intent.id


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    await recover(desk.broker, desk.store)
    return desk


async def test_an_entry_whose_commit_was_not_answered_gets_its_end_recorded(desk: Desk) -> None:
    desk.store.lost_answers.append(True)
    async with desk.running():
        intent = await desk.enter()
        assert desk.store.state(intent.id) is OrderState.INTENT
        assert await desk.audited() == []
    assert desk.store.state(intent.id) is OrderState.EXPIRED
    assert desk.store.reason(intent.id) == "store_unavailable"
    assert not desk.broker.placed
    assert not desk.book.pending


async def test_the_first_comparison_after_the_fault_reports_no_difference(desk: Desk) -> None:
    reported: asyncio.Queue[Sequence[Difference]] = asyncio.Queue()
    desk.store.lost_answers.append(True)
    async with desk.running() as group:
        await desk.enter()
        watching = group.create_task(
            watch(
                desk.broker,
                desk.store,
                desk.executor,
                desk.book,
                every_s=0.001,
                report=reported.put_nowait,
            )
        )
        assert await reported.get() == []
        watching.cancel()


async def test_an_end_that_could_not_be_recorded_is_recorded_later(desk: Desk) -> None:
    desk.broker.faults.append(Fault.REJECT)
    desk.store.record_faults.append(True)
    async with desk.running():
        intent = await desk.enter()
        # The row itself is in the broker's record, so this end came with it.
        assert desk.store.state(intent.id) is OrderState.REJECTED
        desk.broker.faults.append(Fault.UNSENT)
        desk.store.record_faults.append(True)
        unsent = await desk.enter(2)
        assert desk.store.state(unsent.id) is OrderState.INTENT
        assert await desk.audited() == []
    assert desk.store.state(unsent.id) is OrderState.EXPIRED


async def test_an_order_that_nobody_knows_is_taken_over_and_expires(desk: Desk) -> None:
    intent = make_entry(make_signal())
    async with desk.running():
        await desk.store.commit_intent(intent, make_signal(), b"{}")
        assert await desk.audited() == [Kind.UNDECIDED_ORDER]
        assert intent.id in desk.book.pending
        assert intent.id in desk.book.blocked["EUR_USD"]
        await desk.until(intent, OrderState.EXPIRED)
        assert await desk.audited() == []
    assert desk.store.state(intent.id) is OrderState.EXPIRED
    assert not desk.broker.placed
    assert not desk.book.pending
    assert not desk.book.blocked["EUR_USD"]


async def test_an_order_that_nobody_knows_is_found_in_the_brokers_record(desk: Desk) -> None:
    intent = make_entry(make_signal())
    async with desk.running():
        await desk.store.commit_intent(intent, make_signal(), b"{}")
        assert await desk.audited() == [Kind.UNDECIDED_ORDER]
        desk.broker.execute(intent)
        await desk.until(intent, OrderState.FILLED)
        assert await desk.audited() == []
    assert not desk.broker.placed
    (trade,) = desk.book.trades.values()
    assert trade.client_trade_id == intent.id
    assert not desk.book.blocked["EUR_USD"]


async def test_what_the_broker_made_of_it_before_is_applied_first(desk: Desk) -> None:
    intent = make_entry(make_signal())
    async with desk.running():
        await desk.store.commit_intent(intent, make_signal(), b"{}")
        desk.broker.execute(intent)
        assert await desk.audited() == []
    assert desk.store.state(intent.id) is OrderState.FILLED
    assert desk.book.trades


async def test_an_order_on_its_way_is_left_alone(desk: Desk) -> None:
    desk.broker.faults.append(Fault.LOST_REQUEST)
    desk.broker.fail_scans = 1_000_000
    async with desk.running():
        intent = await desk.enter()
        before = desk.executor.orders
        assert await desk.audited() == [Kind.UNDECIDED_ORDER]
        assert desk.executor.orders == before
    assert desk.store.state(intent.id) is OrderState.UNKNOWN
    assert [order.id for order in desk.broker.placed] == [intent.id]
