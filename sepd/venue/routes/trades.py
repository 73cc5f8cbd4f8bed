"""Trades."""

from __future__ import annotations

from aiohttp import web

from sepd.venue import amending, views
from sepd.venue.context import REQUEST_ID, answer, context, outcome_answer, read_json, with_last
from sepd.venue.errors import invalid, not_found
from sepd.venue.paging import select
from sepd.venue.requests import ON_FILL, Details, decimal, extensions, parse_details

routes = web.RouteTableDef()
_BASE = "/v3/accounts/{account}"


@routes.get(f"{_BASE}/trades")
async def list_trades(request: web.Request) -> web.Response:
    """Trades, the newest first; open ones unless another state is asked for."""
    account = context(request).account
    states = {"OPEN", "CLOSED", "CLOSE_WHEN_TRADEABLE", "ALL"}
    trades, headers = select(request, list(account.book.trades.values()), states, "OPEN")
    found = [views.trade_view(account, trade) for trade in trades]
    return answer(request, with_last(request, {"trades": found}), headers=headers)


@routes.get(f"{_BASE}/openTrades")
async def list_open(request: web.Request) -> web.Response:
    """All open trades."""
    account = context(request).account
    newest = reversed(account.book.open_trades.values())
    found = [views.trade_view(account, trade) for trade in newest]
    return answer(request, with_last(request, {"trades": found}))


@routes.get(f"{_BASE}/trades/{{trade}}")
async def get_trade(request: web.Request) -> web.Response:
    """One trade, by id or, while it is open, by `@clientid`."""
    account = context(request).account
    trade = account.book.find_trade(request.match_info["trade"])
    if trade is None:
        raise not_found("NO_SUCH_TRADE")
    return answer(request, with_last(request, {"trade": views.trade_view(account, trade)}))


@routes.put(f"{_BASE}/trades/{{trade}}/close")
async def close_trade(request: web.Request) -> web.Response:
    """Close a trade: `units` is ALL (also if absent) or a positive number."""
    body = await read_json(request) if request.can_read_body else {}
    units = body.get("units", "ALL")
    if units != "ALL" and decimal(body, "units") is None:
        raise invalid("units")
    outcome = context(request).engine.close_trade(
        request.match_info["trade"], str(units), request[REQUEST_ID]
    )
    return outcome_answer(request, outcome, 200, _missing_status(outcome.rejected))


@routes.put(f"{_BASE}/trades/{{trade}}/clientExtensions")
async def modify_trade(request: web.Request) -> web.Response:
    """Set client extensions of an open trade."""
    given = extensions(await read_json(request), "clientExtensions") or {}
    venue = context(request)
    venue.account.begin(request[REQUEST_ID])
    outcome = amending.modify_trade(venue.account, request.match_info["trade"], given)
    return outcome_answer(request, outcome, 200, _missing_status(outcome.rejected))


@routes.put(f"{_BASE}/trades/{{trade}}/orders")
async def set_dependents(request: web.Request) -> web.Response:
    """Take profit, stop loss and trailing stop of a trade: null cancels, absent leaves."""
    body = await read_json(request)
    venue = context(request)
    trade = venue.account.book.find_trade(request.match_info["trade"])
    if trade is None or not trade.open:
        raise not_found("NO_SUCH_TRADE")
    if body.get("guaranteedStopLoss") is not None:
        raise invalid("guaranteedStopLoss")
    wanted: dict[str, Details | None] = {}
    for on_fill, kind in ON_FILL.items():
        name = on_fill.removesuffix("OnFill")
        if name in body:
            given = body[name]
            wanted[kind] = None if given is None else parse_details(given, kind, name)
    outcome = venue.engine.set_dependents(trade, wanted, request[REQUEST_ID])
    return outcome_answer(request, outcome, 200)


def _missing_status(rejected: str) -> int:
    return 404 if rejected == "TRADE_DOESNT_EXIST" else 400
