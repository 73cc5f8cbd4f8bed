"""Kill, release, flatten: latched at once, kept for good, insisting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sepd.clock import EventClock
from sepd.domain.account import AccountSnapshot, PendingOrder
from sepd.domain.order import Done, OrderState, Outcome, Refused, Unsent
from sepd.errors import TransientError
from sepd.execution.executor import Executor, Timing
from sepd.execution.operator import Desk, kill, stand_down, unkill
from sepd.execution.reconcile import recover
from sepd.risk.book import REPEATED, Book
from tests.support.broker import FakeBroker, Fault
from tests.support.store import FaultyStore
from tests.support.trading import ACCOUNT, EUR_USD, NOON, PAIRS, make_entry, make_signal

FAST = Timing(quiet_window_s=0.01, grace_s=0.005, retry_s=0.001)


class SulkingBroker(FakeBroker):
    """Has a limit order waiting; fails so many reads and cancels first."""

    def __init__(self) -> None:
        super().__init__([EUR_USD], {"EUR_USD": (109_990, 110_000)})
        self.waiting = [PendingOrder(900, "LIMIT", "EUR_USD")]
        self.failures = 0
        self.cancels: list[int] = []

    async def account(self) -> AccountSnapshot:
        if self.failures:
            self.failures -= 1
            raise TransientError("The broker is away.")
        return await super().account()

    async def cancel(self, order_id: int) -> Outcome:
        self.cancels.append(order_id)
        if len(self.cancels) == 1:
            return Unsent("The broker is away.")
        if len(self.cancels) == 2:
            return Done((), len(self.rows))
        return Refused("ORDER_DOESNT_EXIST", "No such order.")


class WaitingBroker(SulkingBroker):
    """Shows its waiting order in the account."""

    async def account(self) -> AccountSnapshot:
        snapshot = await super().account()
        return AccountSnapshot(
            account_id=snapshot.account_id,
            currency=snapshot.currency,
            balance=snapshot.balance,
            nav=snapshot.nav,
            margin_used=snapshot.margin_used,
            margin_available=snapshot.margin_available,
            last_transaction_id=snapshot.last_transaction_id,
            trades=snapshot.trades,
            orders=(*snapshot.orders, *self.waiting),
        )


@pytest.fixture
async def desk() -> Desk:
    broker, store, book = WaitingBroker(), FaultyStore(), Book("USD", PAIRS)
    await recover(broker, store)
    executor = Executor(broker, store, EventClock(NOON), book, timing=FAST)
    return Desk(broker, store, executor, book, EventClock(NOON), retry_s=0.001)


@asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(desk.executor.run())
        yield
        task.cancel()


async def enter(desk: Desk, number: int = 1) -> str:
    intent = make_entry(make_signal(number))
    await desk.executor.submit(intent, make_signal(number), b"{}")
    return intent.id


async def test_kill_latches_and_cancels_but_leaves_stops(desk: Desk) -> None:
    assert isinstance(desk.broker, SulkingBroker)
    async with running(desk):
        await enter(desk)
        await desk.executor.drain()
        desk.broker.failures = 3
        await kill(desk, "operator", flatten=False)
    assert desk.broker.cancels == [900, 900]
    assert desk.broker.stops
    assert desk.ledger.killed == "operator"
    assert (await desk.store.load_state(ACCOUNT)).killed == "operator"


async def test_an_entry_that_waits_is_not_sent_after_the_kill(desk: Desk) -> None:
    assert isinstance(desk.broker, SulkingBroker)
    assert isinstance(desk.store, FaultyStore)
    name = await enter(desk)
    desk.ledger.killed = "operator"
    async with running(desk):
        await desk.executor.drain()
    assert not desk.broker.placed
    assert (desk.store.state(name), desk.store.reason(name)) == (OrderState.EXPIRED, "killed")


async def test_kill_can_close_all_trades_and_what_fills_meanwhile(desk: Desk) -> None:
    assert isinstance(desk.broker, SulkingBroker)
    async with running(desk):
        await enter(desk, 1)
        await desk.executor.drain()
        desk.broker.hold = asyncio.Event()
        await enter(desk, 2)
        await asyncio.sleep(0)
        async with asyncio.TaskGroup() as group:
            group.create_task(kill(desk, "operator", flatten=True))
            await asyncio.sleep(0)
            desk.broker.hold.set()
        await desk.executor.drain()
    assert not desk.broker.open_trades


async def test_flattening_insists_until_the_broker_has_the_exit(desk: Desk) -> None:
    assert isinstance(desk.broker, SulkingBroker)
    async with running(desk):
        await enter(desk)
        await desk.executor.drain()
        desk.broker.faults.extend([Fault.UNSENT, Fault.UNSENT])
        await kill(desk, "operator", flatten=True)
        while desk.broker.open_trades:
            await desk.executor.drain()
            await asyncio.sleep(0)
        await desk.executor.drain()
    assert not desk.broker.open_trades


async def test_a_kill_cut_short_is_finished_at_the_next_start(desk: Desk) -> None:
    assert isinstance(desk.broker, SulkingBroker)
    async with running(desk):
        await enter(desk)
        await desk.executor.drain()
        desk.ledger.killed = "operator"
        await stand_down(desk, flatten=False)
    assert desk.broker.cancels == [900, 900]
    assert desk.broker.stops


async def test_release_is_kept_too(desk: Desk) -> None:
    assert isinstance(desk.ledger, Book)
    desk.ledger.block("EUR_USD", REPEATED)
    async with running(desk):
        await kill(desk, "operator", flatten=False)
        await unkill(desk)
    assert not desk.ledger.blocked["EUR_USD"]
    assert not desk.ledger.killed
    assert not (await desk.store.load_state(ACCOUNT)).killed
