"""Trades and orders of the account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct, field

DEPENDENTS = ("TAKE_PROFIT", "STOP_LOSS", "TRAILING_STOP_LOSS")
ENTRIES = ("LIMIT", "STOP", "MARKET_IF_TOUCHED")


class Trade(Struct):
    """A trade. `price` in points, `units` signed and current, money in the home currency.

    `dependents` maps an order type (STOP_LOSS …) to the id of the pending order that guards this
    trade.
    """

    id: int
    instrument: str
    price: int
    opened_ns: int
    initial_units: Decimal
    initial_margin: Decimal
    units: Decimal
    extensions: dict[str, str] = field(default_factory=dict)
    dependents: dict[str, int] = field(default_factory=dict)
    realized_pl: Decimal = Decimal(0)
    financing: Decimal = Decimal(0)
    closed_ns: int | None = None
    closing_ids: list[int] = field(default_factory=list)
    closed_units: Decimal = Decimal(0)
    closed_value: Decimal = Decimal(0)

    @property
    def open(self) -> bool:
        """Whether units are left."""
        return self.closed_ns is None

    @property
    def state(self) -> str:
        """OPEN or CLOSED."""
        return "OPEN" if self.open else "CLOSED"

    @property
    def client_id(self) -> str:
        """The client's own trade id, empty if it gave none."""
        return self.extensions.get("id", "")


class Order(Struct):
    """An order. `wire` holds its request fields as the wire spells them.

    Prices and distances are points. `units` are those asked for; a dependent order (`trade_id`)
    closes whatever its trade holds. `ending` holds the wire fields that its fill or cancellation
    added.
    """

    id: int
    kind: str
    created_ns: int
    wire: dict[str, Any]
    instrument: str
    units: Decimal = Decimal(0)
    price: int | None = None
    bound: int | None = None
    distance: int | None = None
    tif: str = "GTC"
    gtd_ns: int | None = None
    position_fill: str = "DEFAULT"
    trigger: str = "DEFAULT"
    trade_id: int | None = None
    trailing: int | None = None
    initial_price: int | None = None
    state: str = "PENDING"
    ending: dict[str, Any] = field(default_factory=dict)

    @property
    def client_id(self) -> str:
        """The client's own order id, empty if it gave none."""
        return str(self.wire.get("clientExtensions", {}).get("id", ""))


class PositionTotals(Struct):
    """What an instrument's trades earned on one side, closed ones included."""

    pl: Decimal = Decimal(0)
    financing: Decimal = Decimal(0)


class Book(Struct):
    """Everything the account holds. Closed trades and finished orders stay, as at OANDA."""

    balance: Decimal
    trades: dict[int, Trade] = field(default_factory=dict)
    open_trades: dict[int, Trade] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    pending: dict[int, Order] = field(default_factory=dict)
    totals: dict[tuple[str, bool], PositionTotals] = field(default_factory=dict)
    pl: Decimal = Decimal(0)
    financing: Decimal = Decimal(0)
    last_fill_ns: int | None = None

    def trades_of(self, instrument: str, long: bool | None = None) -> list[Trade]:
        """Open trades of `instrument`, oldest first; `long` selects a side."""
        return [
            trade
            for trade in self.open_trades.values()
            if trade.instrument == instrument and (long is None or (trade.units > 0) == long)
        ]

    def totals_of(self, instrument: str, long: bool) -> PositionTotals:
        """The side's running totals, made at the first call."""
        return self.totals.setdefault((instrument, long), PositionTotals())

    def find_trade(self, specifier: str) -> Trade | None:
        """A trade by id, or an open one by `@clientid`."""
        if specifier.startswith("@"):
            named = (t for t in self.open_trades.values() if t.client_id == specifier[1:])
            return next(named, None)
        return self.trades.get(_number(specifier))

    def find_order(self, specifier: str) -> Order | None:
        """A pending or finished order by id, a pending one by `@clientid`."""
        if specifier.startswith("@"):
            named = (o for o in self.pending.values() if o.client_id == specifier[1:])
            return next(named, None)
        return self.orders.get(_number(specifier))


def _number(specifier: str) -> int:
    """The id that a specifier spells; 0, which nothing has, where it spells none."""
    plain = specifier.isascii() and specifier.isdecimal() and len(specifier) < 19
    return int(specifier) if plain else 0
