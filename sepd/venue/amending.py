"""Changing what exists: cancel, replace, client extensions, a trade's dependents, the account."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sepd.venue import dependents
from sepd.venue.account import Account
from sepd.venue.admission import details_reason, extensions_reason
from sepd.venue.book import Order, Trade
from sepd.venue.ledger import Row
from sepd.venue.money import ONE, text
from sepd.venue.orders import Outcome, place, related, work
from sepd.venue.requests import Details, OrderRequest

Extensions = dict[str, str]
_CAMEL = {
    "TAKE_PROFIT": "takeProfit",
    "STOP_LOSS": "stopLoss",
    "TRAILING_STOP_LOSS": "trailingStopLoss",
}


def cancel(account: Account, specifier: str) -> Outcome:
    """Cancel a pending order; ORDER_DOESNT_EXIST for one that is missing or finished."""
    first = account.ledger.last_id + 1
    order = account.book.find_order(specifier)
    if order is None or order.state != "PENDING":
        return _no_such_order(account, specifier, first)
    row = account.cancel(order, "CLIENT_REQUEST")
    return Outcome({"orderCancelTransaction": row}, related(account, first))


def replace(account: Account, specifier: str, request: OrderRequest) -> Outcome:
    """Replace a pending order by one of its type; client extensions left out are inherited."""
    first = account.ledger.last_id + 1
    order = account.book.find_order(specifier)
    if order is None or order.state != "PENDING":
        return _no_such_order(account, specifier, first)
    if request.kind != order.kind or (order.trade_id is None and _moved(order, request)):
        row = account.ledger.append(
            f"{request.kind}_ORDER_REJECT",
            intendedReplacesOrderID=str(order.id),
            reason="REPLACEMENT",
            rejectReason="REPLACING_ORDER_INVALID",
        )
        rejected = "REPLACING_ORDER_INVALID"
        return Outcome({"orderRejectTransaction": row}, related(account, first), rejected)
    return place(account, _inheriting(order, request), order)


def _moved(order: Order, request: OrderRequest) -> bool:
    return request.instrument != order.instrument


def _inheriting(order: Order, request: OrderRequest) -> OrderRequest:
    """`request` with the client extensions of `order` where it names none."""
    own: dict[str, Any] = {name: getattr(request, name) for name in request.__struct_fields__}
    if request.extensions is None:
        own["extensions"] = order.wire.get("clientExtensions")
    if request.trade_extensions is None:
        own["trade_extensions"] = order.wire.get("tradeClientExtensions")
    return OrderRequest(**own)


def _no_such_order(account: Account, specifier: str, first: int) -> Outcome:
    named = {"clientOrderID": specifier[1:]} if specifier[0] == "@" else {"orderID": specifier}
    row = account.ledger.append("ORDER_CANCEL_REJECT", **named, rejectReason="ORDER_DOESNT_EXIST")
    return Outcome(
        {"orderCancelRejectTransaction": row}, related(account, first), "ORDER_DOESNT_EXIST"
    )


def modify_order(
    account: Account, specifier: str, given: Extensions | None, for_trade: Extensions | None
) -> Outcome:
    """Set the client extensions of a pending order and of the trade it may open."""
    first = account.ledger.last_id + 1
    order = account.book.find_order(specifier)
    found = order is not None and order.state == "PENDING"
    reason = None if found else "ORDER_DOESNT_EXIST"
    reason = reason or _modify_reason(account, order, given, for_trade)
    named = {"clientOrderID": specifier[1:]} if specifier[0] == "@" else {"orderID": specifier}
    fields: dict[str, Any] = {
        **({"orderID": str(order.id)} if order else named),
        "clientExtensionsModify": given,
        "tradeClientExtensionsModify": for_trade,
    }
    kind = "ORDER_CLIENT_EXTENSIONS_MODIFY"
    if reason or order is None:
        row = account.ledger.append(f"{kind}_REJECT", **fields, rejectReason=reason)
        rows = {"orderClientExtensionsModifyRejectTransaction": row}
        return Outcome(rows, related(account, first), reason or "")
    own_id = order.client_id or None
    row = account.ledger.append(kind, **fields, clientOrderID=own_id)
    for name, value in (("clientExtensions", given), ("tradeClientExtensions", for_trade)):
        if value is not None:
            order.wire[name] = {**order.wire.get(name, {}), **value}
    return Outcome({"orderClientExtensionsModifyTransaction": row}, related(account, first))


def _modify_reason(
    account: Account, order: Order | None, given: Extensions | None, for_trade: Extensions | None
) -> str | None:
    if not given and not for_trade:
        return "CLIENT_EXTENSIONS_DATA_MISSING"
    reason = extensions_reason(given, "CLIENT_ORDER") or extensions_reason(
        for_trade, "CLIENT_TRADE"
    )
    wanted = (given or {}).get("id")
    others = (other for other in account.book.pending.values() if other is not order)
    if not reason and wanted and any(other.client_id == wanted for other in others):
        return "CLIENT_ORDER_ID_ALREADY_EXISTS"
    return reason


def modify_trade(account: Account, specifier: str, given: Extensions) -> Outcome:
    """Set the client extensions of an open trade."""
    first = account.ledger.last_id + 1
    trade = account.book.find_trade(specifier)
    kind = "TRADE_CLIENT_EXTENSIONS_MODIFY"
    reason = _modify_trade_reason(account, trade, given)
    if reason or trade is None:
        named = {"clientTradeID": specifier[1:]} if specifier[0] == "@" else {"tradeID": specifier}
        row = account.ledger.append(
            f"{kind}_REJECT", **named, tradeClientExtensionsModify=given, rejectReason=reason
        )
        rows = {"tradeClientExtensionsModifyRejectTransaction": row}
        return Outcome(rows, related(account, first), reason or "")
    row = account.ledger.append(
        kind,
        tradeID=str(trade.id),
        clientTradeID=trade.client_id or None,
        tradeClientExtensionsModify=given,
    )
    trade.extensions = {**trade.extensions, **given}
    return Outcome({"tradeClientExtensionsModifyTransaction": row}, related(account, first))


def _modify_trade_reason(account: Account, trade: Trade | None, given: Extensions) -> str | None:
    if trade is None or not trade.open:
        return "TRADE_DOESNT_EXIST"
    if not given:
        return "CLIENT_EXTENSIONS_DATA_MISSING"
    others = (other for other in account.book.open_trades.values() if other is not trade)
    if "id" in given and any(other.client_id == given["id"] for other in others):
        return "CLIENT_TRADE_ID_ALREADY_EXISTS"
    return extensions_reason(given, "CLIENT_TRADE")


def set_dependents(account: Account, trade: Trade, wanted: Mapping[str, Details | None]) -> Outcome:
    """Create, replace (missing fields are inherited) or, with None, cancel dependents of `trade`.

    One rejected order leaves all of them as they were.
    """
    first = account.ledger.last_id + 1
    complete = {
        kind: None if details is None else _completed(account, trade, details)
        for kind, details in wanted.items()
    }
    if rejected := _reject_dependents(account, trade, complete, first):
        return rejected
    rows: dict[str, Row] = {}
    for kind, details in complete.items():
        rows |= _set_dependent(account, trade, kind, details)
    return Outcome(rows, related(account, first))


def _completed(account: Account, trade: Trade, details: Details) -> Details:
    """`details` with what it leaves out taken from the order that it replaces."""
    held = trade.dependents.get(details.kind)
    if held is None:
        return details
    old = account.book.orders[held]
    to_price = account.market.instruments[trade.instrument].to_price
    level_given = details.given & {"price", "distance"}
    from_distance = old.distance is not None
    inherit_price = not level_given and old.price is not None and not from_distance
    inherit_distance = not level_given and from_distance
    given = details.given
    return Details(
        kind=details.kind,
        price=to_price(old.price or 0) if inherit_price else details.price,
        distance=to_price(old.distance or 0) if inherit_distance else details.distance,
        tif=details.tif if "timeInForce" in given else old.tif,
        gtd_ns=details.gtd_ns if "timeInForce" in given or "gtdTime" in given else old.gtd_ns,
        trigger=details.trigger if "triggerCondition" in given else old.trigger,
        extensions=details.extensions
        if "clientExtensions" in given
        else old.wire.get("clientExtensions", {}),
        guaranteed=details.guaranteed,
    )


def _reject_dependents(
    account: Account, trade: Trade, wanted: Mapping[str, Details | None], first: int
) -> Outcome | None:
    instrument = account.market.instruments[trade.instrument]
    reasons: dict[str, tuple[Details, str]] = {}
    for kind, details in wanted.items():
        if details and (reason := details_reason(account, details, instrument, "")):
            reasons[kind] = details, reason
    if not reasons:
        return None
    rows: dict[str, Row] = {}
    for kind, (details, reason) in reasons.items():
        rows[f"{_CAMEL[kind]}OrderRejectTransaction"] = account.ledger.append(
            f"{kind}_ORDER_REJECT",
            tradeID=str(trade.id),
            **dependents.details_wire(account, details, trade.instrument),
            reason="CLIENT_ORDER",
            rejectReason=reason,
        )
    return Outcome(rows, related(account, first), next(iter(reasons.values()))[1])


def _set_dependent(
    account: Account, trade: Trade, kind: str, details: Details | None
) -> dict[str, Row]:
    name = f"{_CAMEL[kind]}Order"
    held = trade.dependents.get(kind)
    rows: dict[str, Row] = {}
    replaces = None
    if held is not None:
        old = account.book.orders[held]
        replaces = str(held) if details else None
        following = str(account.ledger.last_id + 2) if details else None
        why = "CLIENT_REQUEST_REPLACED" if details else "CLIENT_REQUEST"
        rows[f"{name}CancelTransaction"] = account.cancel(old, why, replacedByOrderID=following)
    if details is None or not trade.open:
        return rows
    why = "REPLACEMENT" if replaces else "CLIENT_ORDER"
    order, row = dependents.create(account, trade, details, why, replacesOrderID=replaces)
    rows[f"{name}Transaction"] = row
    for made in work(account, order).values():
        filled = made["type"] == "ORDER_FILL"
        rows[f"{name}{'Fill' if filled else 'CreatedCancel'}Transaction"] = made
    return rows


def configure(account: Account, alias: str | None, rate: Decimal | None) -> Outcome:
    """Set the account's alias and its own margin rate."""
    first = account.ledger.last_id + 1
    fields = {"alias": alias, "marginRate": None if rate is None else text(rate)}
    reason = None
    if alias is None and rate is None:
        reason = "CLIENT_CONFIGURE_DATA_MISSING"
    elif alias is not None and not 0 < len(alias) <= 255:
        reason = "ALIAS_INVALID"
    elif rate is not None and not 0 < rate <= ONE:
        reason = "MARGIN_RATE_INVALID"
    if reason:
        row = account.ledger.append("CLIENT_CONFIGURE_REJECT", **fields, rejectReason=reason)
        rows = {"clientConfigureRejectTransaction": row}
        return Outcome(rows, related(account, first), reason)
    row = account.ledger.append("CLIENT_CONFIGURE", **fields)
    account.alias = account.alias if alias is None else alias
    account.margin_rate = account.margin_rate if rate is None else rate
    return Outcome({"clientConfigureTransaction": row}, related(account, first))
