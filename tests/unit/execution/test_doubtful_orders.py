"""An order whose fate is unknown: looked for, found or given up, and never sent twice."""

from __future__ import annotations

import pytest

from sepd.domain.order import OrderState
from sepd.execution.reconcile import Remedy, audit, recover
from tests.support.broker import Fault
from tests.support.execution import Desk, recovered_desk
from tests.support.trading import NOON


@pytest.fixture
async def desk() -> Desk:
    return await recovered_desk()


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
