"""What happened on the account: the broker's transactions, as far as sepd acts on them."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct


class TradeOpen(Struct, frozen=True, gc=False):
    """A trade that a fill opened; `units` are signed, `price` in points."""

    trade_id: int
    units: Decimal
    price: int
    client_trade_id: str = ""


class TradeReduce(Struct, frozen=True, gc=False):
    """A trade that a fill reduced or closed; `units` are the signed units of the fill."""

    trade_id: int
    units: Decimal
    price: int
    realized_pl: Decimal
    financing: Decimal = Decimal(0)


class OrderAccepted(Struct, frozen=True, gc=False, tag=True):
    """An order-creating row: MARKET_ORDER, STOP_LOSS_ORDER …

    `kind` is the broker's order type (MARKET, STOP_LOSS …), `trade_id` the trade it protects.
    A row that names its trade and no instrument has `level`, the price as written, not `price`.
    """

    transaction_id: int
    time_ns: int
    kind: str
    reason: str
    instrument: str = ""
    units: Decimal = Decimal(0)
    price: int | None = None
    trade_id: int | None = None
    client_order_id: str = ""
    replaces: int | None = None
    level: Decimal | None = None


class OrderFilled(Struct, frozen=True, gc=False, tag=True):
    """An ORDER_FILL row. Money is in the home currency; `price` is in points."""

    transaction_id: int
    time_ns: int
    order_id: int
    instrument: str
    units: Decimal
    price: int
    reason: str
    pl: Decimal
    financing: Decimal
    commission: Decimal
    balance: Decimal
    client_order_id: str = ""
    opened: TradeOpen | None = None
    reduced: TradeReduce | None = None
    closed: tuple[TradeReduce, ...] = ()


class OrderCancelled(Struct, frozen=True, gc=False, tag=True):
    """An ORDER_CANCEL row: an order that will not fill any more."""

    transaction_id: int
    time_ns: int
    order_id: int
    reason: str
    client_order_id: str = ""


class OrderRejected(Struct, frozen=True, gc=False, tag=True):
    """A *_REJECT row: the order never existed."""

    transaction_id: int
    time_ns: int
    kind: str
    reason: str
    client_order_id: str = ""


class BalanceChanged(Struct, frozen=True, tag=True):
    """Financing, transfers, fees: money that moved without a fill of ours."""

    transaction_id: int
    time_ns: int
    kind: str
    amount: Decimal
    balance: Decimal
    by_trade: dict[int, Decimal] = {}


class OtherTransaction(Struct, frozen=True, gc=False, tag=True):
    """A row that changes nothing sepd tracks; kept so that ids stay without a gap."""

    transaction_id: int
    time_ns: int
    kind: str


AccountEvent = (
    OrderAccepted | OrderFilled | OrderCancelled | OrderRejected | BalanceChanged | OtherTransaction
)


class TransactionHeartbeat(Struct, frozen=True, gc=False, tag=True):
    """The transaction stream lives; the account's newest id."""

    time_ns: int
    last_transaction_id: int


class OpenTrade(Struct, frozen=True, gc=False):
    """A trade the broker holds open; `units` signed and current, prices in points."""

    trade_id: int
    instrument: str
    units: Decimal
    price: int
    opened_ns: int
    unrealized_pl: Decimal = Decimal(0)
    realized_pl: Decimal = Decimal(0)
    financing: Decimal = Decimal(0)
    stop_loss: int | None = None
    take_profit: int | None = None
    client_trade_id: str = ""


class PendingOrder(Struct, frozen=True):
    """An order waiting at the broker."""

    order_id: int
    kind: str
    instrument: str = ""
    units: Decimal = Decimal(0)
    price: int | None = None
    trade_id: int | None = None
    client_order_id: str = ""


class AccountSnapshot(Struct, frozen=True):
    """The account as the broker sees it at `last_transaction_id`; money in `currency`."""

    account_id: str
    currency: str
    balance: Decimal
    nav: Decimal
    margin_used: Decimal
    margin_available: Decimal
    last_transaction_id: int
    hedging: bool = False
    trades: tuple[OpenTrade, ...] = ()
    orders: tuple[PendingOrder, ...] = ()
