"""One order per intent, whatever broker and store do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from sepd.clock import EventClock
from sepd.domain.order import OrderState
from sepd.execution.executor import Executor, Timing
from sepd.execution.intent import exit_intent
from sepd.execution.machine import Order
from sepd.execution.reconcile import Remedy, audit, recover
from sepd.risk.book import Book
from tests.support.broker import FakeBroker, Fault
from tests.support.store import FaultyStore
from tests.support.trading import ACCOUNT, EUR_USD, NOON, PAIRS, S, make_entry, make_signal

FAST = Timing(quiet_window_s=0.01, grace_s=0.005, retry_s=0.001)


class SteppedClock(EventClock):
    """A clock whose UTC stands still while monotonic time goes on as told."""

    def __init__(self, now_ns: int, monotonic_ns: Callable[[], int]) -> None:
        super().__init__(now_ns)
        self._monotonic_ns = monotonic_ns

    def monotonic_ns(self) -> int:
        """What was told."""
        return self._monotonic_ns()


class Desk:
    """Broker, store, book and executor, wired; `crash` keeps only broker and store."""

    def __init__(self) -> None:
        self.broker = FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)})
        self.store = FaultyStore()
        self.clock = EventClock(NOON)
        self.fence = ""
        self.seen: list[Order] = []
        self.turned = asyncio.Event()
        self.broker.scanned = self.turned.set
        self.fresh()

    def fresh(self, last_transaction_id: int = 0) -> None:
        self.book = Book("USD", PAIRS)
        self.book.last_transaction_id = last_transaction_id
        self.executor = Executor(
            self.broker,
            self.store,
            self.clock,
            self.book,
            fence=lambda _: self.fence,
            observe=self.observe,
            last_transaction_id=last_transaction_id,
            timing=FAST,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.executor.run())
            yield
            task.cancel()

    async def enter(self, number: int = 1) -> str:
        signal = make_signal(number)
        intent = make_entry(signal, checkpoint=self.executor.last_transaction_id)
        answer = await self.executor.submit(intent, signal, b"{}")
        return answer or intent.id

    def observe(self, order: Order) -> None:
        self.seen.append(order)
        self.turned.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Look at `condition` after every scan and every change of an order."""
        async with asyncio.timeout(5):
            while not condition():
                self.turned.clear()
                await self.turned.wait()

    async def until_held(self, count: int) -> None:
        """Let so many requests hang at the broker."""
        await self.until(lambda: self.broker.held == count)

    def state(self, name: str) -> OrderState:
        return self.store.state(name)

    def orders_at_broker(self, intent_id: str) -> int:
        return sum(
            1
            for row in self.broker.rows
            if getattr(row, "client_order_id", "") == intent_id
            and type(row).__name__ == "OrderAccepted"
        )


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    await recover(desk.broker, desk.store)
    desk.broker.scans = 0
    return desk


async def test_an_entry_is_committed_sent_filled_and_booked(desk: Desk) -> None:
    async with desk.running():
        name = await desk.enter()
        await desk.executor.drain()
    assert desk.state(name) is OrderState.FILLED
    (trade,) = desk.book.trades.values()
    assert (trade.units, trade.stop_loss) == (Decimal(1_000), 109_700)
    assert not desk.book.pending
    assert desk.book.last_transaction_id == desk.store.last == len(desk.broker.rows)


async def test_drain_reads_rows_that_the_reply_did_not_bring(desk: Desk) -> None:
    desk.broker.faults.append(Fault.SHORT_REPLY)
    async with desk.running():
        await desk.enter()
        await desk.executor.drain()
    assert desk.book.trades
    assert desk.executor.last_transaction_id == len(desk.broker.rows)


async def test_nothing_is_sent_when_the_intent_cannot_be_committed(desk: Desk) -> None:
    desk.store.commit_faults.append(True)
    async with desk.running():
        await desk.enter()
        await desk.executor.drain()
    assert not desk.broker.placed
    assert not desk.book.pending


async def test_the_same_intent_is_taken_once(desk: Desk) -> None:
    async with desk.running():
        await desk.enter()
        assert await desk.enter() == "duplicate_intent"
        await desk.executor.drain()
    assert len(desk.broker.placed) == 1


async def test_an_intent_of_an_earlier_process_is_not_sent_again(desk: Desk) -> None:
    async with desk.running():
        await desk.enter()
        await desk.executor.drain()
    desk.fresh(desk.store.last)
    async with desk.running():
        await desk.enter()
        await desk.executor.drain()
    assert len(desk.broker.placed) == 1


async def test_an_entry_that_waited_too_long_is_not_sent_by_a_clock_stepped_back(
    desk: Desk,
) -> None:
    monotonic_ns = iter([0, 299 * S, 0, 300 * S])
    desk.clock = SteppedClock(NOON, lambda: next(monotonic_ns))
    desk.fresh()
    async with desk.running():
        sent = await desk.enter(1)
        await desk.executor.drain()
        late = await desk.enter(2)
        await desk.executor.drain()
    assert desk.state(sent) is OrderState.FILLED
    assert desk.state(late) is OrderState.EXPIRED


@pytest.mark.parametrize("late_s", [300, 301])
async def test_an_entry_that_waited_too_long_is_not_sent(desk: Desk, late_s: int) -> None:
    async with desk.running():
        desk.clock.advance(NOON + late_s * S)
        name = await desk.enter()
        await desk.executor.drain()
    assert not desk.broker.placed
    assert desk.state(name) is OrderState.EXPIRED


async def test_an_entry_in_time_by_a_nanosecond_is_sent(desk: Desk) -> None:
    async with desk.running():
        desk.clock.advance(NOON + 300 * S - 1)
        await desk.enter()
        await desk.executor.drain()
    assert len(desk.broker.placed) == 1


async def test_who_is_not_the_leader_sends_nothing(desk: Desk) -> None:
    desk.fence = "not_leader"
    async with desk.running():
        name = await desk.enter()
        await desk.executor.drain()
    assert not desk.broker.placed
    assert desk.store.reason(name) == "not_leader"


async def test_a_lost_reply_is_resolved_from_the_transactions(desk: Desk) -> None:
    desk.broker.faults.append(Fault.LOST_REPLY)
    async with desk.running():
        name = await desk.enter()
        await desk.executor.drain()
        await desk.until(lambda: bool(desk.book.trades))
        await desk.executor.drain()
    assert desk.state(name) is OrderState.FILLED
    assert desk.orders_at_broker(name) == 1
    assert not desk.book.blocked["EUR_USD"]


async def test_an_unknown_order_blocks_its_pair_and_counts_as_exposure(desk: Desk) -> None:
    desk.broker.faults.append(Fault.LOST_REQUEST)
    desk.broker.fail_scans = 10**6
    async with desk.running():
        name = await desk.enter()
        await desk.executor.drain()
        assert desk.book.blocked["EUR_USD"] == {name}
        assert name in desk.book.pending
        assert desk.state(name) is OrderState.UNKNOWN
        desk.broker.fail_scans = 0
        await desk.until(lambda: desk.state(name) is OrderState.EXPIRED)
    assert not desk.book.blocked["EUR_USD"]
    assert not desk.book.pending
    assert len(desk.broker.placed) == 1


async def test_an_order_that_lands_in_the_quiet_window_is_found(desk: Desk) -> None:
    desk.broker.faults.append(Fault.LATE)
    async with desk.running():
        name = await desk.enter()
        await desk.until(lambda: desk.broker.scans == 1)
        desk.broker.arrive_late()
        await desk.until(lambda: bool(desk.book.trades))
        await desk.executor.drain()
    assert desk.state(name) is OrderState.FILLED


async def test_an_order_that_lands_after_it_was_given_up_is_adopted(desk: Desk) -> None:
    desk.broker.faults.append(Fault.LATE)
    async with desk.running():
        name = await desk.enter()
        await desk.until(lambda: desk.state(name) is OrderState.EXPIRED)
        desk.broker.arrive_late()
        await desk.executor.drain(len(desk.broker.rows))
    assert desk.state(name) is OrderState.FILLED
    assert len(desk.book.trades) == 1
    assert desk.seen[-1].state is OrderState.FILLED


async def test_history_that_lags_is_not_a_rejection(desk: Desk) -> None:
    desk.broker.faults.append(Fault.LOST_REPLY)
    desk.broker.hidden_scans = 1
    async with desk.running():
        name = await desk.enter()
        await desk.until(lambda: bool(desk.book.trades))
    assert desk.state(name) is OrderState.FILLED


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault.UNSENT, OrderState.EXPIRED),
        (Fault.REJECT, OrderState.REJECTED),
        (Fault.CANCEL, OrderState.CANCELLED),
    ],
)
async def test_an_order_that_never_was_is_no_exposure(
    desk: Desk, fault: Fault, state: OrderState
) -> None:
    desk.broker.faults.append(fault)
    async with desk.running():
        name = await desk.enter()
        await desk.executor.drain()
    assert desk.state(name) is state
    assert not desk.book.pending
    assert len(desk.broker.placed) == 1


async def test_an_exit_is_attempted_until_it_gets_through(desk: Desk) -> None:
    async with desk.running():
        await desk.enter()
        await desk.executor.drain()
        (trade,) = desk.book.trades.values()
        desk.broker.faults.extend([Fault.UNSENT, Fault.LOST_REQUEST, Fault.UNSENT])
        signal = make_signal(2)
        exit_ = exit_intent(
            desk.broker.account_id,
            signal.id,
            trade,
            now_ns=NOON,
            checkpoint=desk.executor.last_transaction_id,
        )
        assert not await desk.executor.submit(exit_, signal, b"{}")
        await desk.until(lambda: not desk.book.trades)
        await desk.executor.drain()
    sent = [intent.id for intent in desk.broker.placed]
    assert len(sent) == len(set(sent)) == 5
    assert not desk.book.pending


async def test_a_stop_filled_at_the_broker_closes_the_order(desk: Desk) -> None:
    async with desk.running():
        name = await desk.enter()
        await desk.executor.drain()
        (trade_id,) = desk.book.trades
        desk.broker.hit_stop(trade_id)
        desk.executor.note(len(desk.broker.rows))
        await desk.until(lambda: not desk.book.trades)
    assert desk.state(name) is OrderState.CLOSED
    assert desk.seen[-1].state is OrderState.CLOSED
    assert desk.book.balance == desk.broker.balance


async def test_events_that_come_twice_and_out_of_order_count_once(desk: Desk) -> None:
    async with desk.running():
        await desk.enter()
        await desk.executor.drain()
        (trade_id,) = desk.book.trades
        desk.broker.hit_stop(trade_id)
        rows = desk.broker.rows
        desk.executor.offer(rows[::-1])
        desk.executor.offer(rows)
        await desk.executor.drain()
        desk.executor.offer(rows)
        await desk.executor.drain()
    assert desk.book.balance == desk.broker.balance
    assert not desk.store.open_trades()


async def test_a_store_that_fails_gets_every_event_in_the_end(desk: Desk) -> None:
    desk.store.apply_faults.extend([True, False, True, True])
    async with desk.running():
        name = await desk.enter()
        await desk.executor.drain()
    assert desk.state(name) is OrderState.FILLED
    assert desk.store.last == len(desk.broker.rows)


async def test_submitting_does_not_wait_for_the_broker(desk: Desk) -> None:
    desk.broker.hold = asyncio.Event()
    async with desk.running():
        names = [await desk.enter(number) for number in range(20)]
        assert len(desk.book.pending) == 20
        desk.broker.hold.set()
        await desk.executor.drain()
    assert {desk.state(name) for name in names} == {OrderState.FILLED}


async def test_a_full_queue_refuses_entries_and_takes_exits(desk: Desk) -> None:
    for number in range(256):
        await desk.enter(number)
    assert await desk.enter(999) == "queue_full"
    async with desk.running():
        await desk.executor.drain()
    assert len(desk.broker.placed) == 256


async def test_a_trade_has_one_exit_at_a_time_also_between_attempts(desk: Desk) -> None:
    async with desk.running():
        await desk.enter(0)
        await desk.executor.drain()
        (trade,) = desk.book.trades.values()
        exits = [
            exit_intent(ACCOUNT, f"S{number}", trade, now_ns=NOON, checkpoint=3)
            for number in (1, 2)
        ]
        desk.broker.faults.extend([Fault.UNSENT] * 3)
        assert not await desk.executor.submit(exits[0], make_signal(1), b"{}")
        await desk.until(lambda: desk.state(exits[0].id) is OrderState.EXPIRED)
        assert await desk.executor.submit(exits[1], make_signal(2), b"{}") == "exit_pending"
        await desk.until(lambda: not desk.book.trades)
        await desk.executor.drain()
    assert not desk.book.pending


async def test_an_exit_is_not_attempted_again_once_its_stop_has_filled(desk: Desk) -> None:
    async with desk.running():
        await desk.enter(0)
        await desk.executor.drain()
        (trade,) = desk.book.trades.values()
        desk.broker.faults.append(Fault.UNSENT)
        leaving = exit_intent(ACCOUNT, "S1", trade, now_ns=NOON, checkpoint=3)
        await desk.executor.submit(leaving, make_signal(1), b"{}")
        await desk.until(lambda: desk.state(leaving.id) is OrderState.EXPIRED)
        desk.broker.hit_stop(trade.trade_id)
        desk.executor.offer(desk.broker.rows)
        await desk.until(lambda: not desk.book.pending)
    assert len(desk.broker.placed) == 2


async def test_an_exit_does_not_wait_for_entries_that_hang(desk: Desk) -> None:
    async with desk.running():
        await desk.enter(0)
        await desk.executor.drain()
        (trade,) = desk.book.trades.values()
        hung = desk.broker.hold = asyncio.Event()
        for number in range(1, 20):
            await desk.enter(number)
        await desk.until_held(8)
        desk.broker.hold = None
        signal = make_signal(99)
        exit_ = exit_intent(ACCOUNT, signal.id, trade, now_ns=NOON, checkpoint=3)
        await desk.executor.submit(exit_, signal, b"{}")
        await desk.until(lambda: trade.trade_id not in desk.book.trades)
        assert len(desk.broker.placed) == 2
        hung.set()
        await desk.executor.drain()


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.LOST_REQUEST])
async def test_a_restart_resolves_what_was_on_its_way(desk: Desk, fault: Fault) -> None:
    desk.broker.faults.append(fault)
    desk.broker.fail_scans = 10**6
    async with desk.running():
        name = await desk.enter()
        await desk.executor.drain()
    desk.broker.fail_scans = 0
    recovery = await recover(desk.broker, desk.store)
    desk.fresh(recovery.snapshot.last_transaction_id)
    desk.book.restore(recovery.snapshot, recovery.state, NOON)
    desk.executor.adopt(recovery.orders)
    wanted = OrderState.FILLED if fault is Fault.LOST_REPLY else OrderState.EXPIRED
    async with desk.running():
        await desk.until(lambda: desk.state(name) is wanted)
        left = await audit(desk.broker, desk.store, desk.executor) or []
    assert not [item for item in left if item.remedy is Remedy.QUARANTINE]
    assert len(desk.broker.placed) == 1
    assert len(desk.book.trades) == (wanted is OrderState.FILLED)
    assert not desk.book.pending
