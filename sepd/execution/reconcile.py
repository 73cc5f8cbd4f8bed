"""Recovery and reconciliation: the broker's account is the truth, and differences stop entries.

A normal start and a start after a crash are the same: apply what the store has missed, then
compare. Afterwards the comparison is repeated as long as the daemon runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import batched

from msgspec import Struct

from sepd.domain.account import AccountSnapshot, OpenTrade, PendingOrder
from sepd.domain.order import OrderState
from sepd.errors import TransientError
from sepd.execution.executor import Executor
from sepd.execution.exits import ExitFile, restore_exits
from sepd.execution.failpoints import failpoint
from sepd.execution.ledger import EVERYTHING, Ledger
from sepd.execution.machine import FINAL, UNDECIDED, Order
from sepd.execution.transactions import BATCH
from sepd.ports import Broker, Store, StoredOrder, StoredPosition, StoredState

DEPENDENT = frozenset({"STOP_LOSS", "TAKE_PROFIT", "TRAILING_STOP_LOSS", "GUARANTEED_STOP_LOSS"})
WORKING = frozenset({OrderState.ACK, OrderState.PARTIAL})
CAUSE = "difference"
ATTEMPTS = 5


class Kind(StrEnum):
    """How broker and store differ."""

    BEHIND = "behind"
    BALANCE = "balance"
    FIRST_BALANCE = "first_balance"
    FOREIGN_TRADE = "foreign_trade"
    MISSING_TRADE = "missing_trade"
    UNITS = "units"
    PRICE = "price"
    UNPROTECTED = "unprotected"
    FOREIGN_ORDER = "foreign_order"
    VANISHED_ORDER = "vanished_order"
    UNDECIDED_ORDER = "undecided_order"


class Remedy(StrEnum):
    """What becomes of a difference."""

    ADOPT = "adopt"
    EXPLAIN = "explain"
    QUARANTINE = "quarantine"


class Difference(Struct, frozen=True):
    """One way in which broker and store differ; an empty instrument concerns all of them."""

    kind: Kind
    remedy: Remedy
    instrument: str
    subject: str
    broker: str
    store: str


class Recovery(Struct, frozen=True):
    """The account after everything missed has been applied, and what it does not explain."""

    snapshot: AccountSnapshot
    state: StoredState
    orders: tuple[Order, ...]
    differences: tuple[Difference, ...]


def compare(snapshot: AccountSnapshot, state: StoredState) -> list[Difference]:
    """Every way in which the store's account differs from the broker's at the same transaction."""
    if snapshot.last_transaction_id != state.last_transaction_id:
        there, here = str(snapshot.last_transaction_id), str(state.last_transaction_id)
        return [_quarantine(Kind.BEHIND, EVERYTHING, "account", there, here)]
    return [
        *_balance(snapshot.balance, state.balance),
        *_trades(snapshot.trades, state.positions),
        *_orders(snapshot.orders, state.orders, {trade.trade_id for trade in snapshot.trades}),
    ]


def quarantine(
    ledger: Ledger, differences: Sequence[Difference], before: Sequence[Difference] = ()
) -> None:
    """Block what differs now, lift what differed `before` and does not any more."""
    now = {item.instrument for item in differences if item.remedy is Remedy.QUARANTINE}
    past = {item.instrument for item in before if item.remedy is Remedy.QUARANTINE}
    for instrument in sorted(now):
        ledger.block(instrument, CAUSE)
    for instrument in sorted(past - now):
        ledger.unblock(instrument, CAUSE)


async def recover(broker: Broker, store: Store, exits: ExitFile | None = None) -> Recovery:
    """Apply what the store has missed until it stands where the broker stands, then compare.

    Args:
        exits: where exits were kept that the store could not take; they are brought in first.

    Raises:
        TransientError: broker or store away, or the account does not stand still.
    """
    if exits is not None:
        await restore_exits(store, exits)
    await store.record_baseline(broker.account_id, await broker.account())
    state = await store.load_state(broker.account_id)
    for stored in state.orders:
        broker.expect(stored.intent)
    failpoint("recover.loaded")
    for _ in range(ATTEMPTS):
        events = await broker.transactions_since(state.last_transaction_id)
        failpoint("recover.scanned")
        for batch in batched(events, BATCH):
            await store.apply_account_events(broker.account_id, batch)
            failpoint("recover.applied")
        snapshot = await broker.account()
        failpoint("recover.snapshot")
        state = await store.load_state(broker.account_id)
        if state.last_transaction_id == snapshot.last_transaction_id:
            differences = tuple(compare(snapshot, state))
            failpoint("recover.compared")
            return Recovery(snapshot, state, _unfinished(state), differences)
    raise TransientError(
        f"Recovery: the store stands at transaction {state.last_transaction_id} and the broker at"
        f" {snapshot.last_transaction_id} after {ATTEMPTS} attempts."
    )


async def audit(broker: Broker, store: Store, executor: Executor) -> list[Difference] | None:
    """Compare broker and store while the daemon runs; None if they moved on meanwhile.

    What the store holds undecided is settled, and where that changed it, compared once more.
    """
    snapshot = await broker.account()
    await executor.drain(snapshot.last_transaction_id)
    state = await _standing_at(snapshot, broker, store, executor)
    if state is not None and await executor.settle(_unfinished(state)):
        state = await _standing_at(snapshot, broker, store, executor)
    return None if state is None else compare(snapshot, state)


async def _standing_at(
    snapshot: AccountSnapshot, broker: Broker, store: Store, executor: Executor
) -> StoredState | None:
    """What the store holds at the snapshot's transaction; None if more has been applied."""
    async with executor.writing:
        if executor.last_transaction_id != snapshot.last_transaction_id:
            return None
        return await store.load_state(broker.account_id)


async def watch(
    broker: Broker,
    store: Store,
    executor: Executor,
    ledger: Ledger,
    *,
    every_s: float,
    report: Callable[[Sequence[Difference]], None],
    before: Sequence[Difference] = (),
    exits: ExitFile | None = None,
) -> None:
    """Compare again and again; entries of what differs stay blocked until it does not."""
    while True:
        await asyncio.sleep(every_s)
        try:
            if exits is not None:
                await executor.restored(await restore_exits(store, exits))
            found = await audit(broker, store, executor)
        except TransientError:
            continue
        if found is not None:
            quarantine(ledger, found, before)
            report(found)
            before = found


def _balance(there: Decimal, here: Decimal | None) -> Iterator[Difference]:
    if here is None:
        yield Difference(
            Kind.FIRST_BALANCE, Remedy.ADOPT, EVERYTHING, "balance", str(there), "none"
        )
    elif here != there:
        yield _quarantine(Kind.BALANCE, EVERYTHING, "balance", str(there), str(here))


def _trades(there: Sequence[OpenTrade], here: Sequence[StoredPosition]) -> Iterator[Difference]:
    ours = {position.trade_id: position for position in here}
    for trade in there:
        name, subject = trade.instrument, f"trade {trade.trade_id}"
        position = ours.pop(trade.trade_id, None)
        if position is None:
            yield _quarantine(Kind.FOREIGN_TRADE, name, subject, str(trade.units), "none")
        elif position.units != trade.units:
            yield _quarantine(Kind.UNITS, name, subject, str(trade.units), str(position.units))
        elif position.price != trade.price:
            yield _quarantine(Kind.PRICE, name, subject, str(trade.price), str(position.price))
        if trade.stop_loss is None:
            yield _quarantine(Kind.UNPROTECTED, name, subject, "no stop", "")
    for left in ours.values():
        subject = f"trade {left.trade_id}"
        yield _quarantine(Kind.MISSING_TRADE, left.instrument, subject, "none", str(left.units))


def _orders(
    there: Sequence[PendingOrder], here: Sequence[StoredOrder], trades: set[int]
) -> Iterator[Difference]:
    waiting = {order.client_order_id: order for order in there if order.client_order_id}
    ours = {order.intent.id for order in here}
    for order in there:
        protects = order.kind in DEPENDENT and order.trade_id in trades
        if not protects and order.client_order_id not in ours:
            subject = f"order {order.order_id}"
            yield _quarantine(Kind.FOREIGN_ORDER, order.instrument, subject, order.kind, "none")
    for stored in here:
        name, subject = stored.intent.instrument, f"order {stored.intent.id}"
        if stored.state in UNDECIDED and stored.intent.id not in waiting:
            yield Difference(
                Kind.UNDECIDED_ORDER, Remedy.EXPLAIN, name, subject, "none", stored.state
            )
        elif stored.state in WORKING and stored.intent.id not in waiting:
            yield _quarantine(Kind.VANISHED_ORDER, name, subject, "none", stored.state)


def _unfinished(state: StoredState) -> tuple[Order, ...]:
    """The stored orders that are not at their end, as the machine knows them."""
    trades: dict[str, tuple[int, ...]] = {}
    for position in state.positions:
        trades[position.intent_id] = (*trades.get(position.intent_id, ()), position.trade_id)
    found = []
    for stored in state.orders:
        held = trades.get(stored.intent.id, ())
        if stored.state in FINAL or (stored.state is OrderState.FILLED and not held):
            continue
        found.append(
            Order(
                intent=stored.intent,
                state=stored.state,
                order_id=stored.order_id,
                trades=held,
                reason=stored.reason,
                seen=state.last_transaction_id if stored.state not in UNDECIDED else 0,
            )
        )
    return tuple(found)


def _quarantine(kind: Kind, instrument: str, subject: str, broker: str, store: str) -> Difference:
    return Difference(kind, Remedy.QUARANTINE, instrument, subject, broker, store)
