"""Transactions: by id, by range, by page, and as they happen."""

from __future__ import annotations

from aiohttp import web

from sepd.domain.time import format_time
from sepd.venue.context import (
    answer,
    context,
    csv_parameter,
    integer_parameter,
    visible_id,
    with_last,
)
from sepd.venue.errors import Refusal, invalid, not_found
from sepd.venue.ledger import Row
from sepd.venue.requests import parse_instant, whole
from sepd.venue.streams import TransactionStream, transaction_heartbeat
from sepd.venue.trouble import LineWriter

routes = web.RouteTableDef()
_BASE = "/v3/accounts/{account}/transactions"
SINCE_LIMIT = 1_000
YEAR_NS = 365 * 86_400 * 1_000_000_000
_FUNDING = ("TRANSFER_FUNDS", "TRANSFER_FUNDS_REJECT", "DAILY_FINANCING", "RESET_RESETTABLE_PL")
_ADMIN = ("CREATE", "CLOSE", "REOPEN", "CLIENT_CONFIGURE", "CLIENT_CONFIGURE_REJECT")


@routes.get(_BASE)
async def list_pages(request: web.Request) -> web.Response:
    """Addresses of the pages that hold the transactions of a time range, not the rows."""
    ledger = context(request).account.ledger
    now_ns = context(request).conductor.playback.now_ns
    begin = _instant(request, "from", ledger.times[0])
    end = _instant(request, "to", now_ns)
    if end < begin or end - begin > YEAR_NS:
        raise invalid("to")
    size = integer_parameter(request, "pageSize", 100, 1, 1_000)
    kinds = csv_parameter(request, "type")
    rows = [
        row
        for row, time_ns in zip(ledger.rows, ledger.times, strict=True)
        if begin <= time_ns <= end and _matches(row, kinds)
    ]
    body = {
        "from": format_time(begin),
        "to": format_time(end),
        "pageSize": size,
        **({"type": kinds} if kinds else {}),
        "count": len(rows),
        "pages": [
            _page(request, rows[start : start + size], kinds) for start in range(0, len(rows), size)
        ],
    }
    return answer(request, with_last(request, body))


def _page(request: web.Request, rows: list[Row], kinds: list[str]) -> str:
    account_id = context(request).account.config.account_id
    kind = f"&type={'%2C'.join(kinds)}" if kinds else ""
    path = f"/v3/accounts/{account_id}/transactions/idrange"
    return f"{request.url.origin()}{path}?from={rows[0]['id']}&to={rows[-1]['id']}{kind}"


@routes.get(f"{_BASE}/idrange")
async def get_range(request: web.Request) -> web.Response:
    """Transactions `from` … `to`, both included."""
    ledger = context(request).account.ledger
    low = whole(request.query.get("from"), "from")
    high = whole(request.query.get("to"), "to")
    if low > high or low < 1 or low > ledger.last_id:
        raise Refusal(416, "The transaction ids are outside the account's range.")
    kinds = csv_parameter(request, "type")
    high = min(high, visible_id(request))
    rows = [row for row in ledger.rows[low - 1 : high] if _matches(row, kinds)]
    return answer(request, with_last(request, {"transactions": rows}))


@routes.get(f"{_BASE}/sinceid")
async def get_since(request: web.Request) -> web.Response:
    """Transactions after `id`, at most a thousand."""
    ledger = context(request).account.ledger
    since = whole(request.query.get("id"), "id")
    if since > ledger.last_id:
        raise Refusal(416, "The transaction id is outside the account's range.")
    kinds = csv_parameter(request, "type")
    newer = ledger.rows[since : max(since, visible_id(request))]
    rows = [row for row in newer if _matches(row, kinds)][:SINCE_LIMIT]
    return answer(request, with_last(request, {"transactions": rows}))


@routes.get(f"{_BASE}/stream")
async def stream(request: web.Request) -> web.StreamResponse:
    """Transactions from now on, one JSON object a line."""
    venue = context(request)
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    writer = LineWriter(request, response)
    client = TransactionStream()
    client.put(transaction_heartbeat(venue.conductor.playback.now_ns, venue.account.ledger.last_id))
    venue.conductor.streams.add(client)
    try:
        while (line := await client.read()) is not None:
            await writer.write(line)
        await response.write_eof()
    except ConnectionResetError:
        return response
    finally:
        venue.conductor.streams.remove(client)
    return response


@routes.get(f"{_BASE}/{{transaction}}")
async def get_transaction(request: web.Request) -> web.Response:
    """One transaction."""
    ledger = context(request).account.ledger
    number = whole(request.match_info["transaction"], "transactionID")
    if not 0 < number <= visible_id(request):
        raise not_found("NO_SUCH_TRANSACTION")
    body = {"transaction": ledger.rows[number - 1]}
    return answer(request, with_last(request, body))


def _instant(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    return default if text is None else parse_instant(text, name)


def _matches(row: Row, kinds: list[str]) -> bool:
    """Whether `row` is of one of `kinds`: transaction types or the groups ORDER, FUNDING, ADMIN."""
    if not kinds:
        return True
    kind = row["type"]
    groups = {
        "FUNDING": kind in _FUNDING,
        "ADMIN": kind in _ADMIN,
        "ORDER": kind not in _FUNDING and kind not in _ADMIN,
    }
    return any(kind == wanted or groups.get(wanted, False) for wanted in kinds)
