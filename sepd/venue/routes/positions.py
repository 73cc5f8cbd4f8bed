"""Positions."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sepd.venue import views
from sepd.venue.context import REQUEST_ID, answer, context, outcome_answer, read_json, with_last
from sepd.venue.errors import Refusal, invalid, not_found
from sepd.venue.requests import decimal, extensions

routes = web.RouteTableDef()
_BASE = "/v3/accounts/{account}"


@routes.get(f"{_BASE}/positions")
async def list_positions(request: web.Request) -> web.Response:
    """Every instrument that was ever traded."""
    body = {"positions": views.positions(context(request).account)}
    return answer(request, with_last(request, body))


@routes.get(f"{_BASE}/openPositions")
async def list_open(request: web.Request) -> web.Response:
    """Instruments with open trades."""
    body = {"positions": views.positions(context(request).account, only_open=True)}
    return answer(request, with_last(request, body))


@routes.get(f"{_BASE}/positions/{{instrument}}")
async def get_position(request: web.Request) -> web.Response:
    """One position; 404 where the instrument was never traded."""
    account = context(request).account
    name = _instrument(request)
    if name not in {instrument for instrument, _ in account.book.totals}:
        raise not_found("NO_SUCH_POSITION")
    return answer(request, with_last(request, {"position": views.position_view(account, name)}))


@routes.put(f"{_BASE}/positions/{{instrument}}/close")
async def close_position(request: web.Request) -> web.Response:
    """Close sides of a position; a flat one answers 404, an absent side 400."""
    name = _instrument(request)
    if not request.can_read_body:
        raise Refusal(400, "The request body is missing.")
    body = await read_json(request)
    account = context(request).account
    flat = not account.book.trades_of(name)
    sides = {side: _side(body, side) for side in ("long", "short")}
    outcome = context(request).engine.close_position(name, sides, request[REQUEST_ID])
    response = outcome_answer(request, outcome, 200, 404 if flat else 400)
    created = [row for key, row in outcome.rows.items() if key.endswith("CreateTransaction")]
    if created:
        location = f"/v3/accounts/{account.config.account_id}/orders/{created[0]['id']}"
        response.headers["Location"] = location
    return response


def _side(body: dict[str, Any], side: str) -> tuple[str, dict[str, str] | None]:
    """Units and extensions for one side; NONE where the request does not name it."""
    key = f"{side}Units"
    units = body.get(key, "NONE")
    if units not in ("ALL", "NONE") and decimal(body, key) is None:
        raise invalid(key)
    return str(units), extensions(body, f"{side}ClientExtensions")


def _instrument(request: web.Request) -> str:
    name = request.match_info["instrument"]
    if name not in context(request).account.market.instruments:
        raise invalid("instrument")
    return name
