"""What one broker transaction does to an account's books. Pure.

`apply` takes the lines that the transaction touches and returns them changed. The sum of
`Trade.profit_loss` over all trades is what trading has added to the balance, to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec

from sepd.domain.account import (
    AccountEvent,
    AccountSnapshot,
    BalanceChanged,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    TradeReduce,
)
from sepd.domain.order import OrderState, Purpose
from sepd.ports import DayLedger
from sepd.storage.lines import FINISHED, Account, Lines, Order, Trade

TRANSFER = "TRANSFER_FUNDS"
_PAST_ACK = {OrderState.PARTIAL, OrderState.FILLED, OrderState.CANCELLED}


def order_keys(event: AccountEvent) -> tuple[str, int | None]:
    """Client order id and order id by which the event's order is found."""
    match event:
        case OrderAccepted():
            return event.client_order_id, event.transaction_id
        case OrderFilled() | OrderCancelled():
            return event.client_order_id, event.order_id
        case OrderRejected():
            return event.client_order_id, None
    return "", None


def trade_keys(event: AccountEvent) -> list[int]:
    """Trades that the event changes (not one that it opens)."""
    if isinstance(event, OrderFilled):
        return [leg.trade_id for leg in _exits(event)]
    return list(event.by_trade) if isinstance(event, BalanceChanged) else []


def apply(event: AccountEvent, lines: Lines, trading_day: Callable[[int], str]) -> Lines:
    """`lines` after `event`; lines that it does not change are left out of the answer."""
    order = _order_of(event, lines.orders)
    account = _apply_account(event, lines.account, trading_day)
    orders: dict[str, Order] = {}
    trades: dict[int, Trade] = {}
    if order is not None:
        orders[order.intent_id] = _apply_order(event, order)
    if isinstance(event, OrderFilled):
        trades = _apply_fill(event, order, lines.trades)
        for trade in trades.values():
            entry = orders.get(trade.intent_id) or lines.orders.get(trade.intent_id)
            if trade.closed_ns is not None and entry is not None:
                orders[entry.intent_id] = msgspec.structs.replace(entry, state=OrderState.CLOSED)
    elif isinstance(event, BalanceChanged):
        trades = {
            trade_id: msgspec.structs.replace(known, financing=known.financing + amount)
            for trade_id, amount in event.by_trade.items()
            if (known := lines.trades.get(trade_id)) is not None
        }
    return Lines(account, orders, trades)


def move(order: Order, state: OrderState, order_id: int | None, reason: str) -> Order:
    """`order` in a new state by our own word: a finished one stays, a filled one may only close."""
    filled = order.state is OrderState.FILLED and state is not OrderState.CLOSED
    if order.state in FINISHED or filled:
        return order
    known = order.order_id if order_id is None else order_id
    return msgspec.structs.replace(order, state=state, order_id=known, reason=reason)


def contiguous(last: int, applied: Iterable[int]) -> int:
    """The newest id up to which nothing is missing, given the ids `applied` after `last`."""
    for transaction_id in sorted(applied):
        if transaction_id > last + 1:
            break
        last = max(last, transaction_id)
    return last


def baseline(
    snapshot: AccountSnapshot, trading_day: str, intents: dict[str, str]
) -> tuple[Account, list[Trade]]:
    """Books opened at a snapshot of the account; `intents` gives the signal id of our intents."""
    ledger = DayLedger(trading_day, snapshot.balance, Decimal(0), snapshot.balance)
    account = Account(
        snapshot.last_transaction_id, snapshot.last_transaction_id, snapshot.balance, ledger
    )
    trades = [
        Trade(
            trade_id=trade.trade_id,
            intent_id=trade.client_trade_id if trade.client_trade_id in intents else "",
            signal_id=intents.get(trade.client_trade_id, ""),
            instrument=trade.instrument,
            initial_units=trade.units,
            units=trade.units,
            price=trade.price,
            opened_ns=trade.opened_ns,
        )
        for trade in snapshot.trades
    ]
    return account, trades


def _order_of(event: AccountEvent, orders: dict[str, Order]) -> Order | None:
    client_order_id, order_id = order_keys(event)
    if client_order_id in orders:
        return orders[client_order_id]
    if order_id is None:
        return None
    named = (order for order in orders.values() if order.order_id == order_id)
    return min(named, key=lambda order: order.intent_id, default=None)


def _apply_order(event: AccountEvent, order: Order) -> Order:
    """The broker's word on an order; rows may come late, but none reopens a closed one."""
    replace = msgspec.structs.replace
    if order.state is OrderState.CLOSED:
        return order
    match event:
        case OrderAccepted():
            accepted = order.state if order.state in _PAST_ACK else OrderState.ACK
            return replace(order, state=accepted, order_id=event.transaction_id)
        case OrderFilled():
            filled = order.filled + event.units
            state = _state_filled(event, order, filled)
            return replace(order, state=state, order_id=event.order_id, filled=filled, reason="")
        case OrderCancelled():
            ended = OrderState.FILLED if order.filled else OrderState.CANCELLED
            return replace(order, state=ended, order_id=event.order_id, reason=event.reason)
        case OrderRejected():
            return replace(order, state=OrderState.REJECTED, reason=event.reason)
    return order


def _state_filled(event: OrderFilled, order: Order, filled: Decimal) -> OrderState:
    """An exit has done its work when it is filled; an entry when its trade is closed."""
    closed = any(leg.trade_id == order.trade_id for leg in event.closed)
    if not closed and abs(filled) < abs(order.units):
        return OrderState.PARTIAL
    return OrderState.CLOSED if order.purpose is Purpose.EXIT else OrderState.FILLED


def _apply_account(
    event: AccountEvent, account: Account, trading_day: Callable[[int], str]
) -> Account:
    """Balance, checkpoint and the day's ledger. The caller closes gaps in the checkpoint."""
    number = event.transaction_id
    newest = number > account.newest_transaction_id
    replace = msgspec.structs.replace
    if isinstance(event, OrderFilled | BalanceChanged):
        before = account.balance if account.balance is not None else event.balance - _gain(event)
        balance = event.balance if newest else before
        day = _apply_day(event, account.day, trading_day(event.time_ns), before, balance)
        account = replace(account, balance=balance, day=day)
    return replace(
        account,
        last_transaction_id=contiguous(account.last_transaction_id, [number]),
        newest_transaction_id=max(account.newest_transaction_id, number),
    )


def _gain(event: OrderFilled | BalanceChanged) -> Decimal:
    """What the event adds to the balance."""
    if isinstance(event, OrderFilled):
        return event.pl + event.financing - event.commission
    return event.amount


def _apply_day(
    event: OrderFilled | BalanceChanged,
    ledger: DayLedger | None,
    day: str,
    before: Decimal,
    balance: Decimal,
) -> DayLedger:
    """The ledger after the event. Money put in or taken out moves the marks, not the result."""
    if ledger is None:
        ledger = DayLedger(day, before, Decimal(0), before)
    elif day > ledger.day:
        ledger = DayLedger(day, before, Decimal(0), ledger.high_water)
    if isinstance(event, BalanceChanged) and event.kind == TRANSFER:
        return DayLedger(
            ledger.day,
            ledger.opening_balance + event.amount,
            ledger.realized_pl,
            ledger.high_water + event.amount,
        )
    realized = ledger.realized_pl + _gain(event)
    return DayLedger(ledger.day, ledger.opening_balance, realized, max(ledger.high_water, balance))


def _exits(event: OrderFilled) -> tuple[TradeReduce, ...]:
    return (*event.closed, *((event.reduced,) if event.reduced else ()))


def _apply_fill(
    event: OrderFilled, order: Order | None, trades: dict[int, Trade]
) -> dict[int, Trade]:
    """Trades closed, reduced and opened; the fill's commission goes to the first of them."""
    changed: dict[int, Trade] = {}
    commission = event.commission
    closed = {leg.trade_id for leg in event.closed}
    for leg in _exits(event):
        known = trades.get(leg.trade_id)
        if known is None:
            continue
        trade = _reduce(known, leg, commission)
        commission = Decimal(0)
        if leg.trade_id in closed:
            trade = msgspec.structs.replace(
                trade, closed_ns=event.time_ns, exit_reason=event.reason
            )
        changed[leg.trade_id] = trade
    if event.opened is not None:
        changed[event.opened.trade_id] = Trade(
            trade_id=event.opened.trade_id,
            intent_id=order.intent_id if order else "",
            signal_id=order.signal_id if order else "",
            instrument=event.instrument,
            initial_units=event.opened.units,
            units=event.opened.units,
            price=event.opened.price,
            opened_ns=event.time_ns,
            commission=commission,
        )
    return changed


def _reduce(trade: Trade, leg: TradeReduce, commission: Decimal) -> Trade:
    return msgspec.structs.replace(
        trade,
        units=trade.units + leg.units,
        exit_value=trade.exit_value - leg.units * leg.price,
        realized_pl=trade.realized_pl + leg.realized_pl,
        financing=trade.financing + leg.financing,
        commission=trade.commission + commission,
    )
