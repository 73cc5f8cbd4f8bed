"""What OANDA says about accounts, orders, trades and positions, in full; decimals exact.

Where the `Broker` port needs less, `wire` has it; these are for whoever asks by `Calls`.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import field

from sepd.broker.oanda.wire import Extensions, Transaction, Wire

ZERO = Decimal(0)


class AccountName(Wire, frozen=True):
    """An account that the token may use."""

    id: str
    tags: tuple[str, ...] = ()


class AccountsReply(Wire, frozen=True):
    """The token's accounts."""

    accounts: tuple[AccountName, ...]


class AccountState(Wire, frozen=True):
    """Figures of an account that move with prices; None where OANDA left them out."""

    nav: Decimal | None = field(name="NAV", default=None)
    unrealized_pl: Decimal | None = None
    margin_used: Decimal | None = None
    margin_available: Decimal | None = None
    position_value: Decimal | None = None
    margin_closeout_percent: Decimal | None = None
    margin_call_percent: Decimal | None = None
    withdrawal_limit: Decimal | None = None


class Summary(AccountState, frozen=True):
    """An account without its orders, trades and positions."""

    id: str = ""
    alias: str = ""
    currency: str = ""
    created_time: str = ""
    balance: Decimal = ZERO
    pl: Decimal = ZERO
    resettable_pl: Decimal = ZERO
    financing: Decimal = ZERO
    commission: Decimal = ZERO
    margin_rate: Decimal | None = None
    hedging_enabled: bool = False
    open_trade_count: int = 0
    open_position_count: int = 0
    pending_order_count: int = 0


class SummaryReply(Wire, frozen=True):
    """An account's summary at one transaction id."""

    account: Summary
    last_transaction_id: int


class Order(Wire, frozen=True):
    """An order of any type, with what became of it."""

    id: int
    type: str
    state: str = ""
    create_time: str = ""
    instrument: str = ""
    units: Decimal | None = None
    price: Decimal | None = None
    distance: Decimal | None = None
    price_bound: Decimal | None = None
    trailing_stop_value: Decimal | None = None
    time_in_force: str = ""
    gtd_time: str = ""
    position_fill: str = ""
    trigger_condition: str = ""
    trade_id: int | None = None
    client_trade_id: str = ""
    client_extensions: Extensions | None = None
    trade_client_extensions: Extensions | None = None
    filling_transaction_id: int | None = None
    cancelling_transaction_id: int | None = None
    replaces_order_id: int | None = None
    replaced_by_order_id: int | None = None


class OrdersReply(Wire, frozen=True):
    """Orders, the newest first."""

    orders: tuple[Order, ...]
    last_transaction_id: int


class OrderReply(Wire, frozen=True):
    """One order."""

    order: Order
    last_transaction_id: int


class Trade(Wire, frozen=True):
    """A trade, open or closed; its dependent orders in full or by id."""

    id: int
    instrument: str
    price: Decimal
    open_time: str = ""
    state: str = ""
    initial_units: Decimal = ZERO
    current_units: Decimal = ZERO
    realized_pl: Decimal = ZERO
    unrealized_pl: Decimal | None = None
    margin_used: Decimal | None = None
    financing: Decimal = ZERO
    average_close_price: Decimal | None = None
    close_time: str = ""
    closing_transaction_ids: tuple[int, ...] = field(name="closingTransactionIDs", default=())
    client_extensions: Extensions | None = None
    take_profit_order: Order | None = None
    stop_loss_order: Order | None = None
    trailing_stop_loss_order: Order | None = None
    take_profit_order_id: int | None = None
    stop_loss_order_id: int | None = None
    trailing_stop_loss_order_id: int | None = None


class TradesReply(Wire, frozen=True):
    """Trades, the newest first."""

    trades: tuple[Trade, ...]
    last_transaction_id: int


class TradeReply(Wire, frozen=True):
    """One trade."""

    trade: Trade
    last_transaction_id: int


class Side(Wire, frozen=True):
    """The long or the short trades of a position."""

    units: Decimal = ZERO
    average_price: Decimal | None = None
    trade_ids: tuple[int, ...] = field(name="tradeIDs", default=())
    pl: Decimal = ZERO
    unrealized_pl: Decimal | None = None
    financing: Decimal = ZERO


class Position(Wire, frozen=True):
    """An instrument that was ever traded; flat sides have no units."""

    instrument: str
    long: Side = Side()
    short: Side = Side()
    pl: Decimal = ZERO
    unrealized_pl: Decimal | None = None
    financing: Decimal = ZERO
    margin_used: Decimal | None = None


class PositionsReply(Wire, frozen=True):
    """Positions."""

    positions: tuple[Position, ...]
    last_transaction_id: int


class PositionReply(Wire, frozen=True):
    """One position."""

    position: Position
    last_transaction_id: int


class Changes(Wire, frozen=True):
    """What happened to the account since a transaction."""

    orders_created: tuple[Order, ...] = ()
    orders_cancelled: tuple[Order, ...] = ()
    orders_filled: tuple[Order, ...] = ()
    orders_triggered: tuple[Order, ...] = ()
    trades_opened: tuple[Trade, ...] = ()
    trades_reduced: tuple[Trade, ...] = ()
    trades_closed: tuple[Trade, ...] = ()
    positions: tuple[Position, ...] = ()
    transactions: tuple[Transaction, ...] = ()


class ChangesReply(Wire, frozen=True):
    """Changes, and the figures that move with prices."""

    changes: Changes
    state: AccountState
    last_transaction_id: int


class TransactionPages(Wire, frozen=True):
    """Addresses of the pages that hold the transactions of a stretch of time."""

    count: int
    page_size: int
    pages: tuple[str, ...]


class TransactionReply(Wire, frozen=True):
    """One transaction."""

    transaction: Transaction
