"""Domain values as rows of the tables, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from sepd.domain.account import OrderFilled
from sepd.domain.market import Candle, Granularity, Instrument
from sepd.domain.order import OrderIntent, OrderState, Purpose, TimeInForce
from sepd.domain.signal import Signal
from sepd.ports import DayLedger, StoredOrder, StoredPosition
from sepd.storage.lines import Account, Order, Trade

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = Mapping[str, Any]


def to_datetime(time_ns: int) -> datetime:
    """The instant, to the microsecond."""
    return EPOCH + timedelta(microseconds=time_ns // 1000)


def to_ns(instant: datetime) -> int:
    """Nanoseconds since 1970 of a database instant, exactly."""
    delta = instant - EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1000


def signal_row(signal: Signal, verdict: str) -> tuple[object, ...]:
    """Parameters of `record_signal`."""
    metrics = signal.metrics
    return (
        signal.id,
        to_datetime(signal.created_ns),
        signal.instrument,
        signal.granularity.value,
        signal.action.value,
        signal.confidence,
        metrics.coherence,
        metrics.stability,
        metrics.entropy,
        metrics.polarity,
        signal.rule,
        signal.config_version,
        signal.created_ns,
        signal.valid_until_ns,
        verdict,
    )


def signal_body(signal: Signal) -> bytes:
    """The signal of an intent as `order_intents` holds it."""
    return msgspec.json.encode(signal)


def stored_signal(body: bytes) -> Signal:
    """A row of `signals_behind`."""
    return msgspec.json.decode(body, type=Signal)


def stored_order(row: Row) -> StoredOrder:
    """A row of `unfinished_orders`."""
    intent = OrderIntent(
        id=row["intent_id"],
        account_id=row["account_id"],
        signal_id=row["signal_id"],
        purpose=Purpose(row["purpose"]),
        instrument=row["pair"],
        units=row["units"],
        created_ns=row["created_ns"],
        expires_ns=row["expires_ns"],
        checkpoint=row["checkpoint"],
        attempt=row["attempt"],
        price_bound=row["price_bound"],
        stop_loss=row["stop_loss"],
        take_profit=row["take_profit"],
        trade_id=row["trade_id"],
        time_in_force=TimeInForce(row["time_in_force"]),
    )
    return StoredOrder(intent, OrderState(row["state"]), row["order_id"], row["reason"])


def stored_position(row: Row) -> StoredPosition:
    """A row of `open_positions`."""
    return StoredPosition(
        trade_id=row["trade_id"],
        intent_id=row["intent_id"],
        signal_id=row["signal_id"],
        instrument=row["pair"],
        units=row["units"],
        price=row["price"],
        opened_ns=row["opened_ns"],
        realized_pl=row["realized_pl"],
        financing=row["financing"],
    )


def account_line(row: Row | None) -> Account:
    """A row of `account` or `read_books`; none is an account that nothing is known of."""
    if row is None or row["last_transaction_id"] is None:
        return Account()
    day = DayLedger(row["day"], row["opening_balance"], row["day_realized_pl"], row["high_water"])
    return Account(
        row["last_transaction_id"],
        row["newest_transaction_id"],
        row["balance"],
        day if row["day"] else None,
        row["killed"],
    )


def account_row(line: Account) -> dict[str, object]:
    """Columns of `account_state`."""
    day = line.day or DayLedger("", Decimal(0), Decimal(0), Decimal(0))
    return {
        "last_transaction_id": line.last_transaction_id,
        "newest_transaction_id": line.newest_transaction_id,
        "balance": line.balance,
        "day": day.day,
        "opening_balance": day.opening_balance,
        "day_realized_pl": day.realized_pl,
        "high_water": day.high_water,
        "killed": line.killed,
    }


def order_row(order: Order, updated_ns: int) -> dict[str, object]:
    """Columns of `orders` that a transaction changes."""
    return {
        "intent_id": order.intent_id,
        "state": order.state,
        "order_id": order.order_id,
        "filled": order.filled,
        "reason": order.reason,
        "updated_ns": updated_ns,
    }


def position_row(trade: Trade) -> dict[str, object]:
    """Columns of `positions`."""
    return {
        "trade_id": trade.trade_id,
        "intent_id": trade.intent_id,
        "signal_id": trade.signal_id,
        "pair": trade.instrument,
        "initial_units": trade.initial_units,
        "units": trade.units,
        "price": trade.price,
        "opened_ns": trade.opened_ns,
        "exit_value": trade.exit_value,
        "realized_pl": trade.realized_pl,
        "financing": trade.financing,
        "commission": trade.commission,
    }


def fill_row(fill: OrderFilled) -> dict[str, object]:
    """Columns of `fills`."""
    return {
        "transaction_id": fill.transaction_id,
        "order_id": fill.order_id,
        "intent_id": fill.client_order_id,
        "pair": fill.instrument,
        "units": fill.units,
        "price": fill.price,
        "reason": fill.reason,
        "pl": fill.pl,
        "financing": fill.financing,
        "commission": fill.commission,
        "balance": fill.balance,
        "time_ns": fill.time_ns,
    }


def candle(instrument: str, granularity: Granularity, row: Sequence[Any]) -> Candle:
    """A row of `candles`."""
    return Candle(instrument, granularity, to_ns(row[0]), *row[1:])


def result_row(trade: Trade, instrument: Instrument) -> dict[str, object]:
    """Columns of `trading_results`; prices become decimals here."""
    return {
        "trade_id": trade.trade_id,
        "pair": trade.instrument,
        "direction": "BUY" if trade.initial_units > 0 else "SELL",
        "entry_price": instrument.to_price(trade.price),
        "exit_price": _exit_price(trade, instrument),
        "profit_loss": trade.profit_loss,
        "units": trade.initial_units,
        "realized_pl": trade.realized_pl,
        "financing": trade.financing,
        "commission": trade.commission,
        "opened": to_datetime(trade.opened_ns),
        "closed": None if trade.closed_ns is None else to_datetime(trade.closed_ns),
        "intent_id": trade.intent_id,
        "signal_id": trade.signal_id,
        "exit_reason": trade.exit_reason,
    }


def _exit_price(trade: Trade, instrument: Instrument) -> Decimal | None:
    """Mean exit price, with four decimals more than the instrument where it is between points."""
    points = trade.exit_points
    if points is None:
        return None
    if points == points.to_integral_value():
        return instrument.to_price(int(points))
    return points.quantize(Decimal("1.0000")).scaleb(-instrument.display_precision)
