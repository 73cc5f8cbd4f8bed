"""What every route needs: the account, the tape, and how requests are read and answered."""

from __future__ import annotations

import gzip
import re
from bisect import bisect_right
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from sepd.domain.time import NS_PER_S, format_time, parse_time
from sepd.venue.account import Account
from sepd.venue.conductor import Conductor
from sepd.venue.engine import Engine
from sepd.venue.errors import Refusal, invalid, missing
from sepd.venue.faults import FaultPlan
from sepd.venue.limits import Gate
from sepd.venue.orders import Outcome
from sepd.venue.requests import whole

_GZIP_ABOVE = 1_400
_TIME = re.compile(rb'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z)"')
REQUEST_ID = web.RequestKey("request_id", str)


class Context(Struct):
    """The running venue, as its routes see it."""

    conductor: Conductor
    plan: FaultPlan
    gate: Gate | None = None
    requests: int = 0

    @property
    def engine(self) -> Engine:
        """The account as a machine."""
        return self.conductor.engine

    @property
    def account(self) -> Account:
        """The account's state."""
        return self.conductor.engine.account


VENUE = web.AppKey("venue", Context)


def context(request: web.Request) -> Context:
    """The venue that serves `request`."""
    return request.app[VENUE]


def answer(
    request: web.Request,
    body: dict[str, Any],
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """A JSON reply in the time format that the client asked for."""
    encoded = in_time_format(request, msgspec.json.encode(body))
    named = dict(headers or {})
    if len(encoded) > _GZIP_ABOVE and "gzip" in request.headers.get("Accept-Encoding", ""):
        encoded = gzip.compress(encoded, 1, mtime=0)
        named["Content-Encoding"] = "gzip"
    return web.Response(body=encoded, status=status, content_type="application/json", headers=named)


def call_of(request: web.Request) -> str:
    """`METHOD path`, as fault scripts match it."""
    return f"{request.method} {request.path}"


def in_time_format(request: web.Request, encoded: bytes) -> bytes:
    """`encoded` with UNIX times if the client asked for them, off by the script's clock skew."""
    unix = request.headers.get("Accept-Datetime-Format", "").upper() == "UNIX"
    venue = context(request)
    skew_ns = 0
    if venue.plan.script.fault:
        now_ns = venue.conductor.playback.now_ns
        skew_ns = venue.plan.standing_ns("skew", call_of(request), now_ns)
    if not unix and not skew_ns:
        return encoded
    return _TIME.sub(lambda found: _retimed(found[1].decode(), skew_ns, unix), encoded)


def _retimed(text: str, skew_ns: int, unix: bool) -> bytes:
    time_ns = parse_time(text) + skew_ns
    if not unix:
        return f'"{format_time(time_ns)}"'.encode()
    seconds, nanos = divmod(time_ns, NS_PER_S)
    return f'"{seconds}.{nanos:09d}"'.encode()


def with_last(request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
    """`body` with the account's newest transaction id."""
    return {**body, "lastTransactionID": str(visible_id(request))}


def visible_id(request: web.Request) -> int:
    """The newest transaction that `request` may see: the newest, but for the script's lag."""
    venue = context(request)
    ledger = venue.account.ledger
    if not venue.plan.script.fault:
        return ledger.last_id
    now_ns = venue.conductor.playback.now_ns
    lag_ns = venue.plan.standing_ns("lag", call_of(request), now_ns)
    return bisect_right(ledger.times, now_ns - lag_ns) if lag_ns else ledger.last_id


def outcome_answer(
    request: web.Request,
    outcome: Outcome,
    status: int,
    rejected_status: int = 400,
    with_related: bool = True,
) -> web.Response:
    """The reply to a request that made transactions; they go to the streams before it."""
    venue = context(request)
    venue.conductor.publish()
    related = {"relatedTransactionIDs": outcome.related} if with_related else {}
    body = with_last(request, {**outcome.rows, **related})
    if not outcome.rejected:
        return answer(request, body, status)
    sentence = f"{outcome.rejected.replace('_', ' ').capitalize()}: the request was rejected."
    body |= {"errorCode": outcome.rejected, "errorMessage": sentence}
    return answer(request, body, rejected_status)


async def read_json(request: web.Request) -> dict[str, Any]:
    """The request's JSON object.

    Raises:
        Refusal: the body is not one.
    """
    raw = await request.read()
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The request body is not a JSON object.")
    return body


def csv_parameter(request: web.Request, name: str, required: bool = False) -> list[str]:
    """A comma-separated query parameter.

    Raises:
        Refusal: it is required and absent.
    """
    parts = ",".join(request.query.getall(name, [])).split(",")
    found = [part.strip() for part in parts if part.strip()]
    if required and not found:
        raise missing(name)
    return found


def instruments_parameter(request: web.Request, required: bool = False) -> list[str]:
    """The query parameter `instruments`.

    Raises:
        Refusal: one of them is not the venue's, or it is required and absent.
    """
    names = csv_parameter(request, "instruments", required)
    if not set(names) <= set(context(request).account.market.instruments):
        raise invalid("instruments")
    return names


def boolean_parameter(request: web.Request, name: str, default: bool) -> bool:
    """A query parameter that is `true` or `false`, in any case.

    Raises:
        Refusal: it is neither.
    """
    text = request.query.get(name)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise invalid(name)
    return text.lower() == "true"


def integer_parameter(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number in a query parameter.

    Raises:
        Refusal: it is none, or outside `low` … `high`.
    """
    text = request.query.get(name)
    if text is None:
        return default
    number = whole(text, name)
    if number > high:
        raise Refusal(400, f"Maximum value for '{name}' exceeded", invalid(name).code)
    if number < low:
        raise invalid(name)
    return number
