"""OANDA's words to the domain's and back. Pure.

Everything that OANDA sends and that cannot be true (not a number, infinite, an impossible time)
is an `InputError`; what is merely new to us is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from sepd.broker.oanda import wire
from sepd.domain.account import (
    AccountEvent,
    AccountSnapshot,
    BalanceChanged,
    OpenTrade,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OtherTransaction,
    PendingOrder,
    TradeOpen,
    TradeReduce,
)
from sepd.domain.market import Candle, Granularity, Instrument, parse_points
from sepd.domain.time import parse_time
from sepd.errors import InputError

Instruments = Mapping[str, Instrument]
_DIGITS = 18
_IMPOSSIBLE = 1 << 53


def finite(number: Decimal) -> Decimal:
    """`number`, if it is one that money, units or a price can be.

    Raises:
        InputError: it is infinite, not a number, or beyond 10^18 in size or fineness.
    """
    if not number.is_finite() or abs(number.adjusted()) > _DIGITS:
        raise InputError(f"The broker sent {str(number)[:40]} where a number belongs.")
    return number


def points(text: wire.PriceText, digits: int) -> int:
    """Points of a price as it is written.

    Raises:
        InputError: it is no price with at most `digits` decimals.
    """
    try:
        found = parse_points(str(text), digits)
    except ValueError:
        found = _IMPOSSIBLE
    if found >= _IMPOSSIBLE:
        raise InputError(f"The broker sent {str(text)[:40]!r} where a price belongs.")
    return found


def known(instruments: Instruments, name: str) -> Instrument:
    """The instrument called `name`.

    Raises:
        InputError: the account does not list it.
    """
    instrument = instruments.get(name)
    if instrument is None:
        raise InputError(f"The broker names an instrument {name[:40]!r} that it does not list.")
    return instrument


def nearest_points(instrument: Instrument, price: Decimal) -> int:
    """Points of an average price, if it is one that can be.

    Raises:
        InputError: as for `finite`.
    """
    return instrument.nearest_points(finite(price))


def instrument(row: wire.InstrumentRow) -> Instrument:
    """An instrument as the broker describes it."""
    return Instrument(
        name=row.name,
        display_precision=row.display_precision,
        pip_location=row.pip_location,
        trade_units_precision=row.trade_units_precision,
        minimum_trade_size=finite(row.minimum_trade_size),
        maximum_order_units=finite(row.maximum_order_units),
        maximum_position_size=finite(row.maximum_position_size),
        margin_rate=finite(row.margin_rate),
    )


def candle(row: wire.CandleRow, of: Instrument, granularity: Granularity) -> Candle:
    """A candle of bid and ask.

    Raises:
        InputError: a side is missing or a price is not one.
    """
    if row.bid is None or row.ask is None:
        raise InputError(f"The candle {of.name} {row.time[:40]} lacks bid or ask.")
    bid, ask = _sides(row.bid, of), _sides(row.ask, of)
    return Candle(of.name, granularity, parse_time(row.time), *bid, *ask, row.volume)


def _sides(side: wire.Ohlc, of: Instrument) -> tuple[int, int, int, int]:
    digits = of.display_precision
    opened, high = points(side.o, digits), points(side.h, digits)
    return opened, high, points(side.l, digits), points(side.c, digits)


def account(reply: wire.AccountReply, instruments: Instruments) -> AccountSnapshot:
    """The account with its trades and orders."""
    row = reply.account
    resting = {order.id: order for order in row.orders}
    return AccountSnapshot(
        account_id=row.id,
        currency=row.currency,
        balance=finite(row.balance),
        nav=finite(row.nav),
        margin_used=finite(row.margin_used),
        margin_available=finite(row.margin_available),
        last_transaction_id=reply.last_transaction_id,
        hedging=row.hedging_enabled,
        trades=tuple(_open_trade(trade, resting, instruments) for trade in row.trades),
        orders=tuple(_pending_order(order, row.trades, instruments) for order in row.orders),
    )


def _open_trade(
    row: wire.TradeRow, resting: Mapping[int, wire.OrderRow], instruments: Instruments
) -> OpenTrade:
    of = known(instruments, row.instrument)

    def level(order: wire.Dependent | None, order_id: int | None) -> int | None:
        held = order or resting.get(order_id or 0)
        return None if held is None or held.price is None else of.to_points(finite(held.price))

    return OpenTrade(
        trade_id=row.id,
        instrument=row.instrument,
        units=finite(row.current_units),
        price=nearest_points(of, row.price),
        opened_ns=parse_time(row.open_time),
        unrealized_pl=finite(row.unrealized_pl),
        realized_pl=finite(row.realized_pl),
        financing=finite(row.financing),
        stop_loss=level(row.stop_loss_order, row.stop_loss_order_id),
        take_profit=level(row.take_profit_order, row.take_profit_order_id),
        client_trade_id=row.client_extensions.id,
    )


def _pending_order(
    row: wire.OrderRow, trades: tuple[wire.TradeRow, ...], instruments: Instruments
) -> PendingOrder:
    """A dependent order names its trade only; the trade names the instrument."""
    name = row.instrument or next((t.instrument for t in trades if t.id == row.trade_id), "")
    price = None
    if row.price is not None and name:
        price = known(instruments, name).to_points(finite(row.price))
    return PendingOrder(
        order_id=row.id,
        kind=row.type,
        instrument=name,
        units=finite(row.units),
        price=price,
        trade_id=row.trade_id,
        client_order_id=row.client_extensions.id,
    )


def account_event(row: wire.Transaction, instruments: Instruments) -> AccountEvent:
    """One transaction row as an account event; a kind that changes nothing of ours is `Other`.

    Raises:
        InputError: a number, time or instrument in it cannot be.
    """
    if row.id <= 0:
        raise InputError(f"The broker sent a {row.type[:40]} row without an id.")
    time_ns = parse_time(row.time)
    if row.type == "ORDER_FILL":
        return _filled(row, time_ns, known(instruments, row.instrument))
    if row.type == "ORDER_CANCEL":
        return OrderCancelled(
            row.id, time_ns, row.order_id or 0, row.reason, client_order_id=row.client_order_id
        )
    if row.type.endswith("_REJECT"):
        return _rejected(row, time_ns)
    if row.type.endswith("_ORDER"):
        return _accepted(row, time_ns, instruments)
    if row.account_balance is not None and (row.amount is not None or row.financing is not None):
        return _balance_changed(row, time_ns)
    return OtherTransaction(row.id, time_ns, row.type)


def _accepted(row: wire.Transaction, time_ns: int, instruments: Instruments) -> OrderAccepted:
    price = level = None
    if row.price is not None and row.instrument:
        price = nearest_points(known(instruments, row.instrument), row.price)
    elif row.price is not None:
        level = finite(row.price)
    return OrderAccepted(
        transaction_id=row.id,
        time_ns=time_ns,
        kind=row.type.removesuffix("_ORDER"),
        reason=row.reason,
        instrument=row.instrument,
        units=finite(row.units),
        price=price,
        trade_id=row.trade_close.trade_id if row.trade_close else row.trade_id,
        client_order_id=_client_id(row),
        replaces=row.replaces_order_id,
        level=level,
    )


def _rejected(row: wire.Transaction, time_ns: int) -> OrderRejected:
    return OrderRejected(
        transaction_id=row.id,
        time_ns=time_ns,
        kind=row.type.removesuffix("_REJECT").removesuffix("_ORDER"),
        reason=row.reject_reason or row.reason,
        client_order_id=_client_id(row),
    )


def _client_id(row: wire.Transaction) -> str:
    """The id sits in the extensions of a create row and in `clientOrderID` of the others."""
    return row.client_extensions.id if row.client_extensions else row.client_order_id


def _filled(row: wire.Transaction, time_ns: int, of: Instrument) -> OrderFilled:
    if row.account_balance is None or row.order_id is None or row.price is None:
        raise InputError(f"The fill {row.id} lacks its order, price or balance.")
    opened = row.trade_opened
    price = nearest_points(of, row.price)
    return OrderFilled(
        transaction_id=row.id,
        time_ns=time_ns,
        order_id=row.order_id,
        instrument=of.name,
        units=finite(row.units),
        price=price,
        reason=row.reason,
        pl=finite(row.pl),
        financing=finite(row.financing or Decimal(0)),
        commission=finite(row.commission) + finite(row.guaranteed_execution_fee),
        balance=finite(row.account_balance),
        client_order_id=row.client_order_id,
        opened=None
        if opened is None
        else TradeOpen(
            trade_id=opened.trade_id,
            units=finite(opened.units),
            price=price if opened.price is None else nearest_points(of, opened.price),
            client_trade_id=opened.client_extensions.id,
        ),
        reduced=_reduced(row.trade_reduced, of, price) if row.trade_reduced else None,
        closed=tuple(_reduced(part, of, price) for part in row.trades_closed),
    )


def _reduced(part: wire.TradePart, of: Instrument, price: int) -> TradeReduce:
    return TradeReduce(
        trade_id=part.trade_id,
        units=finite(part.units),
        price=price if part.price is None else nearest_points(of, part.price),
        realized_pl=finite(part.realized_pl),
        financing=finite(part.financing),
    )


def _balance_changed(row: wire.Transaction, time_ns: int) -> BalanceChanged:
    amount = row.amount if row.amount is not None else row.financing
    by_trade = {
        part.trade_id: finite(part.financing)
        for position in row.position_financings
        for part in position.open_trade_financings
    }
    return BalanceChanged(
        transaction_id=row.id,
        time_ns=time_ns,
        kind=row.type,
        amount=finite(amount or Decimal(0)),
        balance=finite(row.account_balance or Decimal(0)),
        by_trade=by_trade,
    )
