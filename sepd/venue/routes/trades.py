"""Trades."""

from __future__ import annotations

from aiohttp import web

from sepd.venue import views
from sepd.venue.context import REQUEST_ID, answer, context, outcome_answer, read_json, with_last
from sepd.venue.errors import invalid, not_found
from sepd.venue.paging import select
from sepd.venue.requests import decimal

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
    status = 404 if outcome.rejected == "TRADE_DOESNT_EXIST" else 400
    return outcome_answer(request, outcome, 200, status)
