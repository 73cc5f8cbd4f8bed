"""Rules that an order must meet to exist: the first broken one is the reject reason."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from sepd.domain.market import Instrument
from sepd.venue.account import Account
from sepd.venue.book import ENTRIES, Order
from sepd.venue.requests import Details, OrderRequest

MAX_TEXT = 128
MAX_PRICE_DIGITS = 8
MIN_TRAILING, MAX_TRAILING = Decimal("0.00050"), Decimal("1.00000")
_TIFS = {
    "MARKET": ("FOK", "IOC"),
    "LIMIT": ("GTC", "GTD", "GFD", "FOK", "IOC"),
    "STOP": ("GTC", "GTD", "GFD", "FOK", "IOC"),
    "MARKET_IF_TOUCHED": ("GTC", "GTD", "GFD"),
}
_RESTING_TIFS = ("GTC", "GTD", "GFD")
_FILLS = ("DEFAULT", "REDUCE_FIRST", "REDUCE_ONLY", "OPEN_ONLY")
_TRIGGERS = ("DEFAULT", "INVERSE", "BID", "ASK", "MID")

Check = Callable[[], str | None]


def entry_reason(
    account: Account, request: OrderRequest, replaced: Order | None = None
) -> str | None:
    """Why a MARKET, LIMIT, STOP or MARKET_IF_TOUCHED order is rejected; None if it is not."""
    instrument = account.market.instruments[request.instrument]
    return _first(
        lambda: _units_reason(request.units, instrument),
        lambda: _price_reason(request, instrument),
        lambda: _bound_reason(request.bound, instrument),
        lambda: _tif_reason(account, request),
        lambda: None if request.position_fill in _FILLS else "ORDER_FILL_POSITION_ACTION_INVALID",
        lambda: None if request.trigger in _TRIGGERS else "TRIGGER_CONDITION_INVALID",
        lambda: extensions_reason(request.extensions, "CLIENT_ORDER"),
        lambda: extensions_reason(request.trade_extensions, "CLIENT_TRADE"),
        lambda: _duplicate_reason(account, request, replaced),
        lambda: _on_fill_reason(account, request, instrument),
        lambda: _room_reason(account, request.kind),
        lambda: None if _priced(account, instrument) else "INSTRUMENT_PRICE_UNKNOWN",
    )


def _priced(account: Account, instrument: Instrument) -> bool:
    """Whether there is a quote, and a rate for what it earns."""
    convertible = account.market.conversion(instrument.quote) is not None
    return instrument.name in account.market.quotes and convertible


def _first(*checks: Check) -> str | None:
    return next((reason for check in checks if (reason := check())), None)


def _units_reason(units: Decimal, instrument: Instrument) -> str | None:
    if not units or places(units) > instrument.trade_units_precision:
        return "UNITS_INVALID"
    if abs(units) < instrument.minimum_trade_size:
        return "UNITS_MIMIMUM_NOT_MET"
    return "UNITS_LIMIT_EXCEEDED" if abs(units) > instrument.maximum_order_units else None


def _price_reason(request: OrderRequest, instrument: Instrument) -> str | None:
    if request.kind == "MARKET":
        return None
    if request.price is None:
        return "PRICE_MISSING"
    return price_reason(request.price, instrument, "PRICE")


def price_reason(price: Decimal, instrument: Instrument, prefix: str) -> str | None:
    """Why `price` is no price of `instrument`: `<prefix>_INVALID` or `_PRECISION_EXCEEDED`."""
    if price <= 0 or price.adjusted() > MAX_PRICE_DIGITS:
        return f"{prefix}_INVALID"
    if places(price) > instrument.display_precision:
        return f"{prefix}_PRECISION_EXCEEDED"
    return None


def _bound_reason(bound: Decimal | None, instrument: Instrument) -> str | None:
    return None if bound is None else price_reason(bound, instrument, "PRICE_BOUND")


def _tif_reason(account: Account, request: OrderRequest) -> str | None:
    if request.tif not in _TIFS[request.kind]:
        return "TIME_IN_FORCE_INVALID"
    return gtd_reason(account, request.tif, request.gtd_ns, "TIME_IN_FORCE")


def gtd_reason(account: Account, tif: str, gtd_ns: int | None, prefix: str) -> str | None:
    """Why the end of a GTD order is refused."""
    if tif != "GTD":
        return None
    if gtd_ns is None:
        return f"{prefix}_GTD_TIMESTAMP_MISSING"
    return f"{prefix}_GTD_TIMESTAMP_IN_PAST" if gtd_ns <= account.now_ns else None


def extensions_reason(given: dict[str, str] | None, prefix: str) -> str | None:
    """Why client extensions are refused: `<prefix>_ID_INVALID`, `_TAG_…`, `_COMMENT_…`."""
    for key in ("id", "tag", "comment"):
        if given and key in given and not 0 < len(given[key]) <= MAX_TEXT:
            return f"{prefix}_{key.upper()}_INVALID"
    return None


def _duplicate_reason(
    account: Account, request: OrderRequest, replaced: Order | None
) -> str | None:
    if account.config.reject_pending_duplicates and request.kind in ENTRIES:
        own = (request.extensions or {}).get("id")
        if own and _pending_with(account, own, replaced):
            return "CLIENT_ORDER_ID_ALREADY_EXISTS"
    return trade_id_reason(account, request.trade_extensions)


def _pending_with(account: Account, client_id: str, replaced: Order | None) -> bool:
    others = (order for order in account.book.pending.values() if order is not replaced)
    return any(order.client_id == client_id for order in others)


def trade_id_reason(account: Account, given: dict[str, str] | None) -> str | None:
    """CLIENT_TRADE_ID_ALREADY_EXISTS where an open trade bears this client id."""
    wanted = (given or {}).get("id")
    taken = wanted and any(t.client_id == wanted for t in account.book.open_trades.values())
    return "CLIENT_TRADE_ID_ALREADY_EXISTS" if taken else None


def _on_fill_reason(account: Account, request: OrderRequest, instrument: Instrument) -> str | None:
    ids = [item.extensions["id"] for item in request.on_fill if "id" in item.extensions]
    if len(set(ids)) < len(ids):
        return "ORDERS_ON_FILL_DUPLICATE_CLIENT_ORDER_IDS"
    reasons = (
        details_reason(account, item, instrument, f"{item.kind}_ON_FILL")
        for item in request.on_fill
    )
    return next((reason for reason in reasons if reason), None)


def details_reason(
    account: Account, details: Details, instrument: Instrument, prefix: str
) -> str | None:
    """Why a dependent order is refused; reasons begin with `prefix`, if that is not empty."""
    lead = f"{prefix}_" if prefix else ""
    if details.guaranteed:
        return f"{prefix or 'STOP_LOSS_ORDER'}_GUARANTEED_NOT_ALLOWED"
    return _first(
        lambda: _level_reason(details, instrument, lead),
        lambda: None if details.tif in _RESTING_TIFS else f"{lead}TIME_IN_FORCE_INVALID",
        lambda: (
            gtd_reason(account, details.tif, details.gtd_ns, f"{lead}".rstrip("_"))
            if prefix
            else gtd_reason(account, details.tif, details.gtd_ns, "TIME_IN_FORCE")
        ),
        lambda: None if details.trigger in _TRIGGERS else f"{lead}TRIGGER_CONDITION_INVALID",
        lambda: extensions_reason(details.extensions, f"{lead}CLIENT_ORDER"),
    )


def _level_reason(details: Details, instrument: Instrument, lead: str) -> str | None:
    if details.kind == "TRAILING_STOP_LOSS":
        return _trailing_reason(details.distance, instrument, lead)
    if details.kind == "STOP_LOSS" and (details.price is None) == (details.distance is None):
        end = "MISSING" if details.price is None else "SPECIFIED"
        return f"{lead or 'STOP_LOSS_ORDER_'}PRICE_AND_DISTANCE_BOTH_{end}"
    if details.distance is not None and details.kind == "STOP_LOSS":
        name = "DISTANCE" if lead else "PRICE_DISTANCE"
        return price_reason(details.distance, instrument, f"{lead}{name}")
    if details.price is None:
        return f"{lead}PRICE_MISSING"
    return price_reason(details.price, instrument, f"{lead}PRICE")


def _trailing_reason(distance: Decimal | None, instrument: Instrument, lead: str) -> str | None:
    if distance is None:
        return f"{lead}PRICE_DISTANCE_MISSING"
    if reason := price_reason(distance, instrument, f"{lead}PRICE_DISTANCE"):
        return reason
    least, most = trailing_limits(instrument)
    if distance < least:
        return f"{lead}PRICE_DISTANCE_MINIMUM_NOT_MET"
    return f"{lead}PRICE_DISTANCE_MAXIMUM_EXCEEDED" if distance > most else None


def trailing_limits(instrument: Instrument) -> tuple[Decimal, Decimal]:
    """Least and greatest trailing distance: 5 and 10,000 pips, in price units."""
    scale = Decimal(1).scaleb(instrument.pip_location + 4)
    return MIN_TRAILING * scale, MAX_TRAILING * scale


def _room_reason(account: Account, kind: str) -> str | None:
    full = len(account.book.pending) >= account.config.max_pending_orders
    return "PENDING_ORDERS_ALLOWED_EXCEEDED" if full and kind in ENTRIES else None


def places(number: Decimal) -> int:
    """Decimals that `number` needs."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
