"""OANDA v20's JSON as structs, in OANDA's words; unknown fields and types are ignored.

Numbers arrive as strings or as JSON numbers and become exact decimals; ids become ints.
Source: OANDA's v20 specification 3.0.25.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import Struct, field

_UPPER = {"id": "ID", "ids": "IDs", "pl": "PL", "vwap": "VWAP", "nav": "NAV"}
PriceText = str | int | float


def spelling(name: str) -> str:
    """OANDA's spelling of a field: `last_transaction_id` is `lastTransactionID`."""
    first, *rest = name.split("_")
    return first + "".join(_UPPER.get(part, part.capitalize()) for part in rest)


class Wire(Struct, frozen=True, gc=False, rename=spelling):
    """Base of every struct here."""


class Bucket(Wire, frozen=True):
    """One step of the book."""

    price: PriceText


class StreamLine(Wire, frozen=True):
    """A line of the price stream: PRICE or HEARTBEAT.

    `after_transaction`, `token` and `tape_end` are the paced practice venue's extension.
    """

    type: str = ""
    time: str = ""
    instrument: str = ""
    bids: tuple[Bucket, ...] = ()
    asks: tuple[Bucket, ...] = ()
    closeout_bid: PriceText | None = None
    closeout_ask: PriceText | None = None
    status: str = ""
    tradeable: bool | None = None
    after_transaction: int | None = None
    token: PriceText | None = None
    tape_end: bool = False


class Extensions(Wire, frozen=True):
    """A client's own words on an order or trade; the id of an open one is unique."""

    id: str = ""
    tag: str = ""
    comment: str = ""


class TradeClose(Wire, frozen=True):
    """Which trade a closing market order closes."""

    trade_id: int


class TradePart(Wire, frozen=True):
    """A trade opened, reduced or closed by a fill."""

    trade_id: int
    units: Decimal
    price: Decimal | None = None
    realized_pl: Decimal = Decimal(0)
    financing: Decimal = Decimal(0)
    client_extensions: Extensions = Extensions()


class TradeFinancing(Wire, frozen=True):
    """Financing of one open trade."""

    trade_id: int
    financing: Decimal = Decimal(0)


class PositionFinancing(Wire, frozen=True):
    """Financing of one position, by trade."""

    open_trade_financings: tuple[TradeFinancing, ...] = ()


class Transaction(Wire, frozen=True):
    """Any transaction row, or a heartbeat of the transaction stream: the union of their fields."""

    type: str
    time: str
    id: int = 0
    reason: str = ""
    instrument: str = ""
    units: Decimal = Decimal(0)
    price: Decimal | None = None
    order_id: int | None = None
    trade_id: int | None = None
    client_order_id: str = ""
    client_extensions: Extensions | None = None
    replaces_order_id: int | None = None
    trade_close: TradeClose | None = None
    trade_opened: TradePart | None = None
    trade_reduced: TradePart | None = None
    trades_closed: tuple[TradePart, ...] = ()
    pl: Decimal = Decimal(0)
    financing: Decimal | None = None
    commission: Decimal = Decimal(0)
    guaranteed_execution_fee: Decimal = Decimal(0)
    account_balance: Decimal | None = None
    amount: Decimal | None = None
    position_financings: tuple[PositionFinancing, ...] = ()
    reject_reason: str = ""
    last_transaction_id: int | None = None


class ReplyEnding(Wire, frozen=True):
    """What the answer to any write ends with, refusals included."""

    last_transaction_id: int = 0
    error_code: str = ""
    error_message: str = ""


class ErrorBody(Wire, frozen=True):
    """The body of a refusal."""

    error_code: str = ""
    error_message: str = ""


class TransactionsReply(Wire, frozen=True):
    """A page of transactions."""

    transactions: tuple[Transaction, ...]
    last_transaction_id: int


class InstrumentRow(Wire, frozen=True):
    """An instrument of the account."""

    name: str
    display_precision: int
    pip_location: int
    trade_units_precision: int = 0
    minimum_trade_size: Decimal = Decimal(1)
    maximum_order_units: Decimal = Decimal(100_000_000)
    maximum_position_size: Decimal = Decimal(0)
    margin_rate: Decimal = Decimal("0.05")


class InstrumentsReply(Wire, frozen=True):
    """The instruments of the account."""

    instruments: tuple[InstrumentRow, ...]


class Dependent(Wire, frozen=True):
    """An order that hangs on a trade."""

    price: Decimal | None = None


class TradeRow(Wire, frozen=True):
    """An open trade; its stop and target as objects or as ids into the account's orders."""

    id: int
    instrument: str
    price: Decimal
    open_time: str
    current_units: Decimal
    realized_pl: Decimal = Decimal(0)
    unrealized_pl: Decimal = Decimal(0)
    financing: Decimal = Decimal(0)
    client_extensions: Extensions = Extensions()
    stop_loss_order: Dependent | None = None
    take_profit_order: Dependent | None = None
    stop_loss_order_id: int | None = None
    take_profit_order_id: int | None = None


class OrderRow(Wire, frozen=True):
    """A pending order."""

    id: int
    type: str
    instrument: str = ""
    units: Decimal = Decimal(0)
    price: Decimal | None = None
    trade_id: int | None = None
    client_extensions: Extensions = Extensions()


class AccountRow(Wire, frozen=True):
    """The account with its trades and orders."""

    id: str
    currency: str
    balance: Decimal
    margin_used: Decimal
    margin_available: Decimal
    nav: Decimal = field(name="NAV")
    hedging_enabled: bool = False
    trades: tuple[TradeRow, ...] = ()
    orders: tuple[OrderRow, ...] = ()


class AccountReply(Wire, frozen=True):
    """The account at one transaction id."""

    account: AccountRow
    last_transaction_id: int


class PricingReply(Wire, frozen=True):
    """Newest prices."""

    prices: tuple[StreamLine, ...]


class Ohlc(Wire, frozen=True):
    """Open, high, low, close of one side."""

    o: PriceText
    h: PriceText
    l: PriceText  # noqa: E741 - OANDA's name
    c: PriceText


class CandleRow(Wire, frozen=True):
    """One candle; `time` is its start."""

    time: str
    complete: bool
    volume: int = 0
    bid: Ohlc | None = None
    ask: Ohlc | None = None


class CandlesReply(Wire, frozen=True):
    """A page of candles."""

    candles: tuple[CandleRow, ...]


def decoder[T](kind: type[T]) -> msgspec.json.Decoder[T]:
    """A decoder that accepts numbers written as strings, as OANDA writes them."""
    return msgspec.json.Decoder(kind, strict=False)
