"""Creating, replacing and cancelling orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct

from sepd.domain.time import format_time
from sepd.venue.account import Account
from sepd.venue.admission import details_reason, entry_reason
from sepd.venue.book import Order
from sepd.venue.dependents import create, details_wire, price_text
from sepd.venue.errors import invalid
from sepd.venue.fills import execute
from sepd.venue.ledger import Row
from sepd.venue.money import text
from sepd.venue.requests import ON_FILL, Details, OrderRequest
from sepd.venue.triggers import reached


class Outcome(Struct):
    """Transactions that a request made, by the name the reply gives them.

    `rejected` is the reject reason of a request that was refused with a transaction.
    """

    rows: dict[str, Row]
    related: list[str]
    rejected: str = ""


def place(
    account: Account, request: OrderRequest, replaced: Order | None = None, reason: str = ""
) -> Outcome:
    """Create an order and fill it if it can fill now.

    Raises:
        Refusal: the instrument is not one of the venue's; no transaction is made.
    """
    if request.kind in ON_FILL.values():
        return place_dependent(account, request, replaced)
    if request.instrument not in account.market.instruments:
        raise invalid("instrument")
    first = account.ledger.last_id + 1
    wire = entry_wire(account, request)
    why = reason or ("REPLACEMENT" if replaced else "CLIENT_ORDER")
    if rejected := entry_reason(account, request, replaced):
        extra = {"intendedReplacesOrderID": str(replaced.id)} if replaced else {}
        row = account.ledger.append(
            f"{request.kind}_ORDER_REJECT", **wire, reason=why, **extra, rejectReason=rejected
        )
        return Outcome({"orderRejectTransaction": row}, related(account, first), rejected)
    rows = _cancel_replaced(account, replaced)
    replaces = {"replacesOrderID": str(replaced.id)} if replaced else {}
    row = account.ledger.append(f"{request.kind}_ORDER", **wire, reason=why, **replaces)
    rows["orderCreateTransaction"] = row
    order = _entry(account, request, {**wire, **replaces}, int(row["id"]))
    rows |= work(account, order)
    return Outcome(rows, related(account, first))


def related(account: Account, first: int) -> list[str]:
    """Ids of all rows from `first` on."""
    return [str(number) for number in range(first, account.ledger.last_id + 1)]


def work(account: Account, order: Order) -> dict[str, Row]:
    """Give a new order its chance at the newest quote: fill, cancel, or leave it pending."""
    account.book.orders[order.id] = order
    quote = account.market.quotes[order.instrument]
    halted = account.halted(order.instrument)
    now = order.kind == "MARKET" or (not halted and reached(account, order, quote))
    if order.kind != "MARKET":
        account.book.pending[order.id] = order
    if now:
        row = execute(account, order, quote, _fill_reason(order))
    elif order.tif in ("FOK", "IOC"):
        row = account.cancel(order, "MARKET_HALTED" if halted else "BOUNDS_VIOLATION")
    else:
        return {}
    name = "orderFillTransaction" if row["type"] == "ORDER_FILL" else "orderCancelTransaction"
    return {name: row}


def _fill_reason(order: Order) -> str:
    if "tradeClose" in order.wire:
        return "MARKET_ORDER_TRADE_CLOSE"
    if "longPositionCloseout" in order.wire or "shortPositionCloseout" in order.wire:
        return "MARKET_ORDER_POSITION_CLOSEOUT"
    if "marginCloseout" in order.wire:
        return "MARKET_ORDER_MARGIN_CLOSEOUT"
    return f"{order.kind}_ORDER"


def entry_wire(account: Account, request: OrderRequest) -> dict[str, Any]:
    """Fields of an entry order as rows and orders spell them."""
    name = request.instrument
    digits = account.market.instruments[name].display_precision
    resting = request.kind != "MARKET"
    fields: dict[str, Any] = {
        "instrument": name,
        "units": text(request.units),
        "price": _price(request.price, digits) if resting else None,
        "priceBound": _price(request.bound, digits) if request.kind != "LIMIT" else None,
        "timeInForce": request.tif,
        "gtdTime": None if request.gtd_ns is None else format_time(request.gtd_ns),
        "positionFill": request.position_fill,
        "triggerCondition": request.trigger if resting else None,
        "clientExtensions": request.extensions,
        "tradeClientExtensions": request.trade_extensions,
    }
    for key, kind in ON_FILL.items():
        if details := request.details(kind):
            fields[key] = details_wire(account, details, name)
    return {key: value for key, value in fields.items() if value}


def _price(price: Decimal | None, digits: int) -> str | None:
    return None if price is None else price_text(price, digits)


def _entry(account: Account, request: OrderRequest, wire: dict[str, Any], order_id: int) -> Order:
    instrument = account.market.instruments[request.instrument]
    return Order(
        id=order_id,
        kind=request.kind,
        created_ns=account.now_ns,
        wire=wire,
        instrument=request.instrument,
        units=request.units,
        price=None if request.price is None else instrument.to_points(request.price),
        bound=None if request.bound is None else instrument.to_points(request.bound),
        tif=request.tif,
        gtd_ns=request.gtd_ns,
        position_fill=request.position_fill,
        trigger=request.trigger,
        initial_price=account.market.quotes[request.instrument].mid2,
    )


def _cancel_replaced(account: Account, replaced: Order | None) -> dict[str, Row]:
    """End the old order; its replacement is the next row."""
    if replaced is None:
        return {}
    following = str(account.ledger.last_id + 2)
    row = account.cancel(replaced, "CLIENT_REQUEST_REPLACED", replacedByOrderID=following)
    return {"orderCancelTransaction": row}


def place_dependent(
    account: Account, request: OrderRequest, replaced: Order | None = None
) -> Outcome:
    """Create a TAKE_PROFIT, STOP_LOSS or TRAILING_STOP_LOSS order for an open trade."""
    first = account.ledger.last_id + 1
    specifier = request.trade or (str(replaced.trade_id) if replaced else "")
    details = Details(
        kind=request.kind,
        price=request.price,
        distance=request.distance,
        tif=request.tif,
        gtd_ns=request.gtd_ns,
        trigger=request.trigger,
        extensions=request.extensions or {},
        guaranteed=request.guaranteed,
    )
    why = "REPLACEMENT" if replaced else "CLIENT_ORDER"
    if rejected := _dependent_reason(account, details, specifier, replaced):
        row = _reject_dependent(account, details, specifier, why, rejected)
        return Outcome({"orderRejectTransaction": row}, related(account, first), rejected)
    trade = account.book.find_trade(specifier)
    assert trade is not None
    rows = _cancel_replaced(account, replaced)
    replaces = {"replacesOrderID": str(replaced.id)} if replaced else {}
    order, row = create(account, trade, details, why, **replaces)
    rows |= {"orderCreateTransaction": row, **work(account, order)}
    return Outcome(rows, related(account, first))


def _dependent_reason(
    account: Account, details: Details, specifier: str, replaced: Order | None
) -> str | None:
    if not specifier:
        return "TRADE_ID_UNSPECIFIED"
    trade = account.book.find_trade(specifier)
    if trade is None or not trade.open:
        return "TRADE_DOESNT_EXIST"
    if replaced is None and details.kind in trade.dependents:
        return f"{details.kind}_ORDER_ALREADY_EXISTS"
    if replaced is not None and replaced.trade_id != trade.id:
        return "REPLACING_TRADE_ID_INVALID"
    return details_reason(account, details, account.market.instruments[trade.instrument], "")


def _reject_dependent(
    account: Account, details: Details, specifier: str, reason: str, rejected: str
) -> Row:
    trade = account.book.find_trade(specifier) if specifier else None
    name = trade.instrument if trade else next(iter(account.market.instruments))
    wire = details_wire(account, details, name)
    key = "clientTradeID" if specifier.startswith("@") else "tradeID"
    return account.ledger.append(
        f"{details.kind}_ORDER_REJECT",
        **{key: specifier.lstrip("@") or None},
        **wire,
        reason=reason,
        rejectReason=rejected,
    )
