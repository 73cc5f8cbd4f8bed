"""Accounts, their instruments and changes."""

from __future__ import annotations

from aiohttp import web

from sepd.venue import views, views_market
from sepd.venue.changes import changes_view
from sepd.venue.context import (
    REQUEST_ID,
    answer,
    context,
    instruments_parameter,
    outcome_answer,
    read_json,
    with_last,
)
from sepd.venue.errors import Refusal, invalid
from sepd.venue.requests import decimal, whole

routes = web.RouteTableDef()


@routes.get("/v3/accounts")
async def list_accounts(request: web.Request) -> web.Response:
    """The token's accounts."""
    config = context(request).account.config
    return answer(request, {"accounts": [{"id": config.account_id, "tags": []}]})


@routes.get("/v3/accounts/{account}")
async def get_account(request: web.Request) -> web.Response:
    """The whole account."""
    body = {"account": views.account_view(context(request).account)}
    return answer(request, with_last(request, body))


@routes.get("/v3/accounts/{account}/summary")
async def get_summary(request: web.Request) -> web.Response:
    """The account without its arrays."""
    body = {"account": views.account_summary(context(request).account)}
    return answer(request, with_last(request, body))


@routes.get("/v3/accounts/{account}/instruments")
async def list_instruments(request: web.Request) -> web.Response:
    """What can be traded."""
    account = context(request).account
    names = instruments_parameter(request) or list(account.market.instruments)
    rules = [account.market.instruments[name] for name in names]
    found = [views_market.instrument_view(account, instrument) for instrument in rules]
    return answer(request, with_last(request, {"instruments": found}))


@routes.get("/v3/accounts/{account}/changes")
async def get_changes(request: web.Request) -> web.Response:
    """What happened since a transaction, and the figures that move with prices."""
    account = context(request).account
    since = whole(request.query.get("sinceTransactionID"), "sinceTransactionID")
    if not 0 < since <= account.ledger.last_id:
        raise Refusal(416, "The transaction id is outside the account's range.")
    return answer(request, with_last(request, changes_view(account, since)))


@routes.patch("/v3/accounts/{account}/configuration")
async def configure(request: web.Request) -> web.Response:
    """Set the account's alias and its own margin rate."""
    body = await read_json(request)
    alias = body.get("alias")
    if alias is not None and not isinstance(alias, str):
        raise invalid("alias")
    rate = decimal(body, "marginRate")
    outcome = context(request).engine.configure(alias, rate, request[REQUEST_ID])
    return outcome_answer(request, outcome, 200, with_related=False)
