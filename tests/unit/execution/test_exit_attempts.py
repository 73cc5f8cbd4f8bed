"""An exit is attempted until its trade is closed, once at a time."""

from __future__ import annotations

import asyncio

import pytest

from sepd.domain.order import OrderState
from sepd.execution.intent import exit_intent
from tests.support.broker import Fault
from tests.support.execution import Desk, recovered_desk
from tests.support.trading import ACCOUNT, NOON, make_signal


@pytest.fixture
async def desk() -> Desk:
    return await recovered_desk()


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
