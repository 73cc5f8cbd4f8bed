"""What an operator may do to the account: kill, release, flatten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from msgspec import Struct

from sepd.domain.account import AccountSnapshot, OpenTrade
from sepd.domain.ids import ulid
from sepd.domain.market import Granularity
from sepd.domain.order import Done, Refused
from sepd.domain.signal import INVALID, Action, Signal
from sepd.errors import TransientError
from sepd.execution.executor import Executor
from sepd.execution.failpoints import failpoint
from sepd.execution.intent import exit_intent
from sepd.execution.ledger import REPEATED, Ledger
from sepd.execution.reconcile import DEPENDENT
from sepd.ports import Broker, Clock, Store

log = structlog.get_logger(__name__)
VALID_NS = 3_600 * 1_000_000_000


class Desk(Struct, frozen=True):
    """What the operator's commands work on."""

    broker: Broker
    store: Store
    executor: Executor
    ledger: Ledger
    clock: Clock
    retry_s: float = 1.0


async def kill(desk: Desk, reason: str, *, flatten: bool) -> None:
    """Latch the kill switch, cancel what waits at the broker, and close all trades if asked.

    No entry leaves from the first instant on. The latch is kept in the database, so it survives
    a restart; while database or broker are away both are tried again until they answer. Stops
    and targets of open trades stay: they protect.
    """
    failpoint("kill.before")
    desk.ledger.killed = reason
    log.warning("killed", reason=reason, flatten=flatten)
    async with asyncio.TaskGroup() as group:
        group.create_task(_latch(desk, reason))
        group.create_task(stand_down(desk, flatten=flatten))
    failpoint("kill.after")


async def stand_down(desk: Desk, *, flatten: bool) -> None:
    """Cancel what waits at the broker, and close all trades if asked, until it has answered.

    Part of `kill`, and to be repeated at a start with the switch latched: the process that was
    killed may have ended in the middle of it.
    """
    snapshot = await _insist(desk, desk.broker.account)
    for order in snapshot.orders:
        if order.kind not in DEPENDENT:
            await _cancel(desk, order.order_id)
            failpoint("kill.cancelled")
    if flatten:
        await _flatten(desk, snapshot)


async def unkill(desk: Desk) -> None:
    """Release the switch, and every pair that was filled too often: first in the database.

    Raises:
        TransientError: broker or database away; nothing is released.
    """
    names = sorted(await desk.broker.instruments())
    async with desk.executor.writing:  # so that the store releases the fills that the ledger knows
        await desk.store.record_kill(desk.broker.account_id, "")
        for name in names:
            desk.ledger.unblock(name, REPEATED)
    desk.ledger.killed = ""
    log.warning("unkilled")


async def close_trades(desk: Desk, trades: tuple[OpenTrade, ...], command: str) -> int:
    """Submit an exit of each trade that has none under way; how many were submitted."""
    submitted = 0
    for trade in trades:
        if desk.ledger.exits(trade.trade_id):
            continue
        now_ns = desk.clock.now_ns()
        signal = operator_signal(trade, command, now_ns)
        intent = exit_intent(
            desk.broker.account_id,
            signal.id,
            trade,
            now_ns=now_ns,
            checkpoint=desk.executor.last_transaction_id,
        )
        submitted += not await desk.executor.submit(intent, signal, b"{}")
    return submitted


def operator_signal(trade: OpenTrade, command: str, now_ns: int) -> Signal:
    """The signal that stands for an operator's wish to close `trade`."""
    return Signal(
        id=ulid(now_ns, "operator", command, trade.trade_id),
        instrument=trade.instrument,
        granularity=Granularity.M1,
        action=Action.CLOSE,
        confidence=0,
        metrics=INVALID,
        rule=f"operator:{command}",
        config_version="",
        created_ns=now_ns,
        valid_until_ns=now_ns + VALID_NS,
    )


async def _latch(desk: Desk, reason: str) -> None:
    account_id = desk.broker.account_id
    await _insist(desk, lambda: desk.store.record_kill(account_id, reason))
    failpoint("kill.latched")


async def _cancel(desk: Desk, order_id: int) -> None:
    """Cancel until the broker has answered; an order that is gone is as good."""
    while True:
        outcome = await desk.broker.cancel(order_id)
        if isinstance(outcome, Done | Refused):
            desk.executor.offer(outcome.events)
            return
        log.warning("kill_waits", reason=outcome.reason)
        await asyncio.sleep(desk.retry_s)


async def _flatten(desk: Desk, snapshot: AccountSnapshot) -> None:
    """Close everything, and once more what an order on its way has opened meanwhile."""
    await close_trades(desk, snapshot.trades, "kill")
    await desk.executor.drain()
    left = await _insist(desk, desk.broker.account)
    await close_trades(desk, left.trades, "kill")


async def _insist[Answer](desk: Desk, call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Try again until the other side answers."""
    while True:
        try:
            return await call()
        except TransientError as error:
            log.warning("kill_waits", reason=str(error))
            await asyncio.sleep(desk.retry_s)
