"""Orders."""

from __future__ import annotations

from aiohttp import web

from sepd.venue import amending, views
from sepd.venue.context import (
    REQUEST_ID,
    answer,
    context,
    outcome_answer,
    read_json,
    visible_id,
    with_last,
)
from sepd.venue.errors import not_found
from sepd.venue.orders import Outcome
from sepd.venue.paging import select
from sepd.venue.requests import extensions, parse_order

routes = web.RouteTableDef()
_BASE = "/v3/accounts/{account}"


@routes.post(f"{_BASE}/orders")
async def create_order(request: web.Request) -> web.Response:
    """Create an order: 201 means accepted, not filled."""
    wanted = parse_order(await read_json(request))
    outcome = context(request).engine.place(wanted, request[REQUEST_ID])
    status = 404 if outcome.rejected == "TRADE_DOESNT_EXIST" else 400
    return _located(request, outcome, outcome_answer(request, outcome, 201, status))


def _located(request: web.Request, outcome: Outcome, response: web.Response) -> web.Response:
    """`response` with the address of the order that was created."""
    created = outcome.rows.get("orderCreateTransaction")
    if created is not None:
        account_id = context(request).account.config.account_id
        response.headers["Location"] = f"/v3/accounts/{account_id}/orders/{created['id']}"
    return response


@routes.get(f"{_BASE}/orders")
async def list_orders(request: web.Request) -> web.Response:
    """Orders, the newest first; pending ones unless another state is asked for."""
    account = context(request).account
    states = {"PENDING", "FILLED", "TRIGGERED", "CANCELLED", "ALL"}
    newest = visible_id(request)
    known = [order for order in account.book.orders.values() if order.id <= newest]
    orders, headers = select(request, known, states, "PENDING")
    found = [views.order_view(account, order) for order in orders]
    return answer(request, with_last(request, {"orders": found}), headers=headers)


@routes.get(f"{_BASE}/pendingOrders")
async def list_pending(request: web.Request) -> web.Response:
    """All pending orders."""
    account = context(request).account
    newest = reversed(account.book.pending.values())
    found = [views.order_view(account, order) for order in newest]
    return answer(request, with_last(request, {"orders": found}))


@routes.get(f"{_BASE}/orders/{{order}}")
async def get_order(request: web.Request) -> web.Response:
    """One order, by id or, while it is pending, by `@clientid`."""
    account = context(request).account
    order = account.book.find_order(request.match_info["order"])
    if order is None or order.id > visible_id(request):
        raise not_found("NO_SUCH_ORDER")
    return answer(request, with_last(request, {"order": views.order_view(account, order)}))


@routes.put(f"{_BASE}/orders/{{order}}")
async def replace_order(request: web.Request) -> web.Response:
    """Replace a pending order by another of its type."""
    wanted = parse_order(await read_json(request))
    specifier = request.match_info["order"]
    outcome = context(request).engine.replace(specifier, wanted, request[REQUEST_ID])
    status = 404 if outcome.rejected == "ORDER_DOESNT_EXIST" else 400
    return _located(request, outcome, outcome_answer(request, outcome, 201, status))


@routes.put(f"{_BASE}/orders/{{order}}/cancel")
async def cancel_order(request: web.Request) -> web.Response:
    """Cancel a pending order; the body, if any, is ignored."""
    outcome = context(request).engine.cancel(request.match_info["order"], request[REQUEST_ID])
    return outcome_answer(request, outcome, 200, 404)


@routes.put(f"{_BASE}/orders/{{order}}/clientExtensions")
async def modify_order(request: web.Request) -> web.Response:
    """Set client extensions of a pending order."""
    body = await read_json(request)
    own = extensions(body, "clientExtensions")
    for_trade = extensions(body, "tradeClientExtensions")
    venue = context(request)
    venue.account.begin(request[REQUEST_ID])
    outcome = amending.modify_order(venue.account, request.match_info["order"], own, for_trade)
    status = 404 if outcome.rejected == "ORDER_DOESNT_EXIST" else 400
    return outcome_answer(request, outcome, 200, status)
