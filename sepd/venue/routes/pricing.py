"""Prices: the newest, and the stream."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sepd.domain.market import Quote
from sepd.domain.time import format_time
from sepd.venue import views_market
from sepd.venue.context import (
    answer,
    boolean_parameter,
    context,
    instruments_parameter,
)
from sepd.venue.requests import parse_instant
from sepd.venue.streams import PriceStream
from sepd.venue.trouble import LineWriter

routes = web.RouteTableDef()
_BASE = "/v3/accounts/{account}/pricing"


@routes.get(_BASE)
async def get_prices(request: web.Request) -> web.Response:
    """The newest price of each instrument, or only those newer than `since`."""
    venue = context(request)
    account = venue.account
    names = instruments_parameter(request, required=True)
    text = request.query.get("since")
    since = -1 if text is None else parse_instant(text, "since")
    quotes = [account.market.quotes[name] for name in names if name in account.market.quotes]
    body = {
        "prices": [_price(request, quote) for quote in quotes if quote.time_ns > since],
        "time": format_time(venue.conductor.playback.now_ns),
    }
    if boolean_parameter(request, "includeHomeConversions", False):
        rules = [account.market.instruments[name] for name in names]
        currencies = [currency for rule in rules for currency in (rule.base, rule.quote)]
        body["homeConversions"] = views_market.home_conversions(account, currencies)
    return answer(request, body)


def _price(request: web.Request, quote: Quote) -> dict[str, Any]:
    account = context(request).account
    view = views_market.price_view(account, quote)
    if boolean_parameter(request, "includeUnitsAvailable", False):
        view["unitsAvailable"] = views_market.units_available(account, quote.instrument)
    return view


@routes.get(f"{_BASE}/stream")
async def stream(request: web.Request) -> web.StreamResponse:
    """Prices as the tape plays them; `paced=true` makes the tape wait for this client."""
    venue = context(request)
    names = frozenset(instruments_parameter(request, required=True))
    paced = boolean_parameter(request, "paced", False)
    snapshot = boolean_parameter(request, "snapshot", True)
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    writer = LineWriter(request, response)
    everything = names >= set(venue.conductor.playback.recording.names)
    client = PriceStream(None if everything else names, paced)
    first = venue.conductor.snapshot(client) if snapshot else []
    venue.conductor.streams.add(client)
    try:
        if first:
            await writer.write("".join(first).encode())
        while (lines := await client.read()) is not None:
            await writer.write(lines.encode())
        await response.write_eof()
    except ConnectionResetError:
        return response
    finally:
        venue.conductor.streams.remove(client)
    return response
