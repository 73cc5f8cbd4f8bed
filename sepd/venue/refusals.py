"""Why an order that exists does not fill: reasons of ORDER_CANCEL, answered with HTTP 201."""

from __future__ import annotations

from decimal import Decimal

from sepd.domain.market import Quote
from sepd.domain.time import parse_time
from sepd.venue.account import Account
from sepd.venue.admission import trade_id_reason
from sepd.venue.book import Order
from sepd.venue.money import ZERO
from sepd.venue.requests import ON_FILL
from sepd.venue.valuation import margin_rate, unit_value, value


def refusal(
    account: Account, order: Order, opens: Decimal, units: Decimal, price: int, quote: Quote
) -> str | None:
    """The first reason that keeps `order` from filling `units` at `price` points, if any."""
    if account.halted(order.instrument):
        return "MARKET_HALTED"
    if not units:
        return "POSITION_CLOSEOUT_FAILED"
    if order.bound is not None and (price > order.bound if units > 0 else price < order.bound):
        return "BOUNDS_VIOLATION"
    if abs(units) > account.config.liquidity:
        return "INSUFFICIENT_LIQUIDITY"
    if order.kind == "TAKE_PROFIT" and _loses(account, order, price):
        return "LOSING_TAKE_PROFIT"
    return _opening_reason(account, order, opens, units, quote) if opens else None


def _loses(account: Account, order: Order, price: int) -> bool:
    assert order.trade_id is not None
    trade = account.book.trades[order.trade_id]
    return (price - trade.price) * trade.units < 0


def _opening_reason(
    account: Account, order: Order, opens: Decimal, units: Decimal, quote: Quote
) -> str | None:
    if trade_id_reason(account, order.wire.get("tradeClientExtensions")):
        return "CLIENT_TRADE_ID_ALREADY_EXISTS"
    cap = account.market.instruments[order.instrument].maximum_position_size
    held = sum((t.units for t in account.book.trades_of(order.instrument)), ZERO)
    if cap and abs(held + units) > cap:
        return "POSITION_SIZE_EXCEEDED"
    if _margin_needed(account, order.instrument, opens, units) > value(account).margin_available:
        return "INSUFFICIENT_MARGIN"
    return _on_fill_reason(account, order) or _on_fill_loss(account, order, opens, quote)


def _on_fill_reason(account: Account, order: Order) -> str | None:
    """A dependent whose time has passed or whose client id a pending order bears by now."""
    taken = {other.client_id for other in account.book.pending.values() if other is not order}
    for name, kind in ON_FILL.items():
        wire = order.wire.get(name, {})
        if "gtdTime" in wire and parse_time(wire["gtdTime"]) <= account.now_ns:
            return f"{kind}_ON_FILL_GTD_TIMESTAMP_IN_PAST"
        if wire.get("clientExtensions", {}).get("id") in taken - {""}:
            return f"{kind}_ON_FILL_CLIENT_ORDER_ID_ALREADY_EXISTS"
    return None


def _margin_needed(account: Account, instrument: str, opens: Decimal, units: Decimal) -> Decimal:
    """Margin that opening binds, less what the units closed on the way set free."""
    net = abs(opens) - abs(units - opens)
    return account.round(net * unit_value(account, instrument) * margin_rate(account, instrument))


def _on_fill_loss(account: Account, order: Order, opens: Decimal, quote: Quote) -> str | None:
    """A stop or target that would fill the moment it exists."""
    exit_price, long = (quote.bid, True) if opens > 0 else (quote.ask, False)
    instrument = account.market.instruments[order.instrument]
    for name, kind in (("stopLossOnFill", "STOP_LOSS"), ("takeProfitOnFill", "TAKE_PROFIT")):
        given = order.wire.get(name, {}).get("price")
        if given is None:
            continue
        level = instrument.to_points(Decimal(given))
        below = (kind == "STOP_LOSS") == long
        if exit_price <= level if below else exit_price >= level:
            return f"{kind}_ON_FILL_LOSS"
    return None
