"""Values that a store holds and gives back: what recovery, limits and reports start from."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from sepd.domain.order import OrderIntent, OrderState


class StoredOrder(Struct, frozen=True):
    """An intent with what is known of it."""

    intent: OrderIntent
    state: OrderState
    order_id: int | None = None
    reason: str = ""


class StoredPosition(Struct, frozen=True):
    """A trade of ours that the store holds open. `price` in points, money in home currency."""

    trade_id: int
    intent_id: str
    signal_id: str
    instrument: str
    units: Decimal
    price: int
    opened_ns: int
    realized_pl: Decimal = Decimal(0)
    financing: Decimal = Decimal(0)


class DayLedger(Struct, frozen=True):
    """What the risk limits of a trading day need and a restart must not forget."""

    day: str
    opening_balance: Decimal
    realized_pl: Decimal
    high_water: Decimal


class RecentFill(Struct, frozen=True):
    """A fill that opened a trade of ours."""

    trade_id: int
    instrument: str
    time_ns: int


class Recent(Struct, frozen=True):
    """What happened lately, as far as the limits of pace count it.

    `sent_ns` are the entries of the minute up to the newest one, ascending; `fills`, of every
    pair, those of the two hours up to its newest. What an operator has released ended with
    transaction `released`. `loss_streak` counts the fills that lost since the newest that gained.
    """

    sent_ns: tuple[int, ...] = ()
    fills: tuple[RecentFill, ...] = ()
    released: int = 0
    loss_streak: int = 0
    last_loss_ns: int = 0


class StoredState(Struct, frozen=True):
    """Everything that recovery starts from."""

    last_transaction_id: int
    orders: tuple[StoredOrder, ...] = ()
    positions: tuple[StoredPosition, ...] = ()
    balance: Decimal | None = None
    day: DayLedger | None = None
    killed: str = ""
    recent: Recent = Recent()


class JournalRecord(Struct, frozen=True):
    """A batch of inputs or decisions, in order; `body` is canonical JSON lines."""

    kind: str
    time_ns: int
    first_sequence: int
    count: int
    body: bytes


class StoredTotals(Struct, frozen=True):
    """Counts and sums over everything stored; orders, trades and money of one account."""

    candles: int
    ticks: int
    signals: int
    intents: int
    orders_by_state: dict[str, int]
    closed_trades: int
    trading_results_pl: Decimal
