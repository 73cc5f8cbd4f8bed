"""The venue's own calls, absent at OANDA: pace and progress of the tape."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sepd.domain.time import format_time
from sepd.venue.context import answer, context, read_json
from sepd.venue.errors import Refusal, invalid, missing
from sepd.venue.requests import parse_instant

routes = web.RouteTableDef()


@routes.get("/v3/venue/state")
async def get_state(request: web.Request) -> web.Response:
    """How far the tape is and what was sent."""
    return answer(request, _state(request))


def _state(request: web.Request) -> dict[str, Any]:
    venue = context(request)
    playback, account = venue.conductor.playback, venue.account
    total = len(playback.recording)
    return {
        "quotes_played": playback.position,
        "quotes_total": total,
        "quotes_sent_total": venue.conductor.streams.sent,
        "quotes_sent": [stream.sent for stream in venue.conductor.streams.prices],
        "tape_time": format_time(playback.now_ns),
        "tape_start": format_time(playback.recording.start_ns),
        "tape_end": format_time(playback.recording.end_ns),
        "tape_over": venue.conductor.tape_over,
        "progress": playback.position / total,
        "balance": account.money(account.book.balance),
        "last_transaction_id": str(account.ledger.last_id),
        "requests": venue.requests,
    }


@routes.post("/v3/venue/acknowledge")
async def acknowledge(request: web.Request) -> web.Response:
    """The client has dealt with all up to the pause `token`; the tape moves on."""
    body = await read_json(request)
    token = body.get("token")
    if token is None:
        raise missing("token")
    if not context(request).conductor.acknowledge(str(token)):
        raise Refusal(404, f"The tape is not waiting for token {str(token)[:40]!r}.")
    return answer(request, {"token": str(token)})


@routes.post("/v3/venue/advance")
async def advance(request: web.Request) -> web.Response:
    """Play `quotes` quotes, or all up to `until`; only for `--speed step`."""
    venue = context(request)
    if venue.conductor.speed != "step":
        raise Refusal(409, "The tape plays by itself; start the venue with --speed step.")
    body = await read_json(request)
    quotes, until = body.get("quotes"), body.get("until")
    if (quotes is None) == (until is None):
        raise missing("quotes")
    if quotes is not None and (type(quotes) is not int or quotes < 0):
        raise invalid("quotes")
    until_ns = None if until is None else parse_instant(str(until), "until")
    await venue.conductor.advance(quotes, until_ns)
    return answer(request, _state(request))
