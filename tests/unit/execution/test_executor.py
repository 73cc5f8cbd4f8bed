"""One order per intent, whatever broker and store do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from sepd.clock import EventClock
from sepd.domain.order import OrderState
from tests.support.broker import Fault
from tests.support.execution import Desk, recovered_desk
from tests.support.trading import NOON, S


class SteppedClock(EventClock):
    """A clock whose UTC stands still while monotonic time goes on as told."""

    def __init__(self, now_ns: int, monotonic_ns: Callable[[], int]) -> None:
        super().__init__(now_ns)
        self._monotonic_ns = monotonic_ns

    def monotonic_ns(self) -> int:
        """What was told."""
        return self._monotonic_ns()


@pytest.fixture
async def desk() -> Desk:
    return await recovered_desk()


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
