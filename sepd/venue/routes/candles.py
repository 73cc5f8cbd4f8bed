"""Candles."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web

from sepd.domain.time import NS_PER_S
from sepd.venue.candles import LENGTHS, WEEKDAYS, Alignment, CandleRequest, candles
from sepd.venue.context import (
    answer,
    boolean_parameter,
    context,
    csv_parameter,
    integer_parameter,
)
from sepd.venue.errors import Refusal, invalid
from sepd.venue.requests import parse_instant

routes = web.RouteTableDef()
MAX_COUNT = 5_000


@routes.get("/v3/instruments/{instrument}/candles")
async def get_candles(request: web.Request) -> web.Response:
    """Candles of what the tape has played so far."""
    return _answer(request)


def _answer(request: web.Request) -> web.Response:
    name = request.match_info["instrument"]
    wanted = candle_request(request)
    found = find(request, name, wanted)
    body = {"instrument": name, "granularity": wanted.granularity, "candles": found}
    return answer(request, body)


def find(request: web.Request, name: str, wanted: CandleRequest) -> list[dict[str, Any]]:
    """The candles, if the tape of `name` can carry them.

    Raises:
        Refusal: an unknown instrument, or a granularity that the tape's bars cannot make.
    """
    conductor = context(request).conductor
    recording = conductor.playback.recording
    if name not in recording.names:
        raise invalid("instrument")
    number = recording.names.index(name)
    bars = recording.bars[number]
    if bars is not None and LENGTHS[wanted.granularity] % bars.seconds:
        raise Refusal(400, f"Invalid value specified for 'granularity': the tape has {bars} bars.")
    played = conductor.playback.position
    return candles(recording, number, played, conductor.tape_over, wanted)


def candle_request(request: web.Request) -> CandleRequest:
    """The query of a candles call.

    Raises:
        Refusal: a value that is not one, or a combination that OANDA refuses.
    """
    components = request.query.get("price", "M")
    if not components or set(components) - set("MBA"):
        raise invalid("price")
    granularity = request.query.get("granularity", "S5")
    if granularity not in LENGTHS:
        raise invalid("granularity")
    from_ns, to_ns = _span(request, granularity)
    return CandleRequest(
        granularity=granularity,
        components="".join(dict.fromkeys(components)),
        from_ns=from_ns,
        to_ns=to_ns,
        count=integer_parameter(request, "count", 500, 1, MAX_COUNT),
        include_first=boolean_parameter(request, "includeFirst", True),
        smooth=boolean_parameter(request, "smooth", False),
        alignment=_alignment(request),
    )


def _span(request: web.Request, granularity: str) -> tuple[int | None, int | None]:
    """`from` and `to`, neither in the future nor too far apart."""
    from_ns, to_ns = _instant(request, "from"), _instant(request, "to")
    now_ns = context(request).conductor.playback.now_ns
    for name, instant in (("from", from_ns), ("to", to_ns)):
        if instant is not None and instant > now_ns:
            message = f"Invalid value specified for '{name}'. Time is in the future"
            raise Refusal(400, message, invalid(name).code)
    if from_ns is not None and to_ns is not None:
        if "count" in request.query:
            raise Refusal(400, "'count' cannot be given with both 'from' and 'to'.")
        if to_ns < from_ns:
            raise invalid("to")
        if to_ns - from_ns > MAX_COUNT * LENGTHS[granularity] * NS_PER_S:
            raise Refusal(400, "Maximum value for 'count' exceeded", invalid("count").code)
    return from_ns, to_ns


def _alignment(request: web.Request) -> Alignment:
    zone = request.query.get("alignmentTimezone", "America/New_York")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid("alignmentTimezone") from None
    weekday = request.query.get("weeklyAlignment", "Friday")
    if weekday not in WEEKDAYS:
        raise invalid("weeklyAlignment")
    return Alignment(integer_parameter(request, "dailyAlignment", 17, 0, 23), zone, weekday)


def _instant(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    return None if text is None else parse_instant(text, name)


@routes.get("/v3/accounts/{account}/instruments/{instrument}/candles")
async def get_account_candles(request: web.Request) -> web.Response:
    """The same candles; an account sees no other prices here."""
    return _answer(request)


@routes.get("/v3/accounts/{account}/candles/latest")
async def get_latest(request: web.Request) -> web.Response:
    """The newest complete and the growing candle of each specification (`EUR_USD:S10:BM`)."""
    found = []
    for specification in csv_parameter(request, "candleSpecifications", required=True):
        name, _, rest = specification.partition(":")
        granularity, _, components = rest.partition(":")
        if granularity not in LENGTHS or set(components) - set("MBA"):
            raise invalid("candleSpecifications")
        wanted = CandleRequest(granularity, components or "M", count=2)
        newest = find(request, name, wanted)
        found.append({"instrument": name, "granularity": granularity, "candles": newest})
    return answer(request, {"latestCandles": found})
