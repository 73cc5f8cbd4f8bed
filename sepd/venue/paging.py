"""Lists of orders and trades: filters, newest first, and the link to the next page."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from sepd.venue.context import csv_parameter, integer_parameter
from sepd.venue.errors import invalid


class _Listed(Protocol):
    id: int
    instrument: str

    @property
    def state(self) -> str:
        """PENDING, OPEN, CLOSED …"""
        ...


def select[T: _Listed](
    request: web.Request, items: list[T], states: set[str], default: str
) -> tuple[list[T], dict[str, str]]:
    """The page of `items` that the query asks for, and its `Link` header.

    Raises:
        Refusal: an unknown state or a count out of range.
    """
    state = request.query.get("state", default)
    if state not in states:
        raise invalid("state")
    ids = set(csv_parameter(request, "ids"))
    instrument = request.query.get("instrument")
    count = integer_parameter(request, "count", 50, 1, 500)
    before = integer_parameter(request, "beforeID", 1 << 60, 1, 1 << 60)
    found = [
        item
        for item in reversed(items)
        if item.id < before
        and (str(item.id) in ids if ids else state in ("ALL", item.state))
        and instrument in (None, item.instrument)
    ]
    page = found[:count]
    if len(found) <= count or not page:
        return page, {}
    following = request.url.update_query(beforeID=str(page[-1].id))
    return page, {"Link": f'<{following}>; rel="next"'}
