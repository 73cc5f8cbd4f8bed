"""The lines of an account's books: orders, trades, and the account itself."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from sepd.domain.order import OrderState, Purpose
from sepd.ports import DayLedger

FINISHED = frozenset(
    {OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.CLOSED}
)


class Order(Struct, frozen=True):
    """An order's line: `units` and `filled` signed; an exit names the trade it is to close."""

    intent_id: str
    signal_id: str
    purpose: Purpose
    instrument: str
    units: Decimal
    state: OrderState
    order_id: int | None = None
    filled: Decimal = Decimal(0)
    reason: str = ""
    trade_id: int | None = None


class Trade(Struct, frozen=True):
    """A trade's line. `units` are what is open of `initial_units`; `exit_value` sums units times
    price in points over what was closed; `closed_ns` is None while it is open.
    """

    trade_id: int
    intent_id: str
    signal_id: str
    instrument: str
    initial_units: Decimal
    units: Decimal
    price: int
    opened_ns: int
    exit_value: Decimal = Decimal(0)
    realized_pl: Decimal = Decimal(0)
    financing: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    closed_ns: int | None = None
    exit_reason: str = ""

    @property
    def profit_loss(self) -> Decimal:
        """What the trade has added to the balance so far, home currency."""
        return self.realized_pl + self.financing - self.commission

    @property
    def exit_points(self) -> Decimal | None:
        """Mean exit price in points, weighted by units; None while the trade is open."""
        if self.closed_ns is None:
            return None
        return self.exit_value / self.initial_units


class Account(Struct, frozen=True):
    """An account's line.

    Every transaction up to `last_transaction_id` is applied; `balance` is that after
    `newest_transaction_id`, the newest applied.
    """

    last_transaction_id: int = 0
    newest_transaction_id: int = 0
    balance: Decimal | None = None
    day: DayLedger | None = None
    killed: str = ""


class Lines(Struct, frozen=True):
    """Lines that a transaction touches: orders by intent id, trades by trade id."""

    account: Account
    orders: dict[str, Order]
    trades: dict[int, Trade]
