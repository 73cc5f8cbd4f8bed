"""The practice venue inside the test's own event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient, TestServer

from sepd.clock import SystemClock
from sepd.domain.market import Granularity
from sepd.market.calendar import Calendar
from sepd.market.tape import open_tape
from sepd.ports import Clock
from sepd.venue.app import create_app
from sepd.venue.conductor import Conductor, Speed
from sepd.venue.config import VenueConfig
from sepd.venue.faults import NO_FAULTS, FaultScript
from sepd.venue.limits import Limits
from sepd.venue.server import build


def conductor(
    *tapes: Path,
    config: VenueConfig | None = None,
    speed: Speed = "step",
    lockstep: Granularity | None = None,
    clock: Clock | None = None,
    calendar: Calendar | None = None,
) -> Conductor:
    """A venue on these tapes."""
    opened = [open_tape(tape) for tape in tapes]
    rules = config or VenueConfig()
    return build(opened, rules, clock or SystemClock(), speed, lockstep, calendar)


class Client:
    """An authorised client of a venue in this process."""

    def __init__(self, http: TestClient[Any, Any], venue: Conductor) -> None:
        self.http = http
        self.venue = venue
        config = venue.engine.account.config
        self.account = f"/v3/accounts/{config.account_id}"
        self.headers = {"Authorization": f"Bearer {config.token}"}

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Status and JSON of a call; `A` begins the account's paths."""
        path = self.account + path[1:] if path.startswith("A") else path
        kwargs = {} if body is None else {"json": body}
        async with self.http.request(
            method, path, headers=self.headers, params=query, **kwargs
        ) as response:
            return response.status, json.loads(await response.read())

    async def advance(self, quotes: int) -> None:
        """Play so many quotes."""
        status, answer = await self.call("POST", "/v3/venue/advance", {"quotes": quotes})
        assert status == 200, answer

    @asynccontextmanager
    async def stream(self, kind: str, **query: Any) -> AsyncIterator[aiohttp.StreamReader]:
        """The bytes of a price or transaction stream."""
        path = f"{self.account}/{kind}/stream"
        params = {"instruments": "EUR_USD", **query} if kind == "pricing" else query
        async with self.http.get(path, headers=self.headers, params=params) as response:
            assert response.status == 200
            yield response.content

    async def market(self, units: str = "10", **fields: Any) -> Any:
        """Status and reply of a market order on EUR/USD."""
        order = {"type": "MARKET", "instrument": "EUR_USD", "units": units, **fields}
        return await self.call("POST", "A/orders", {"order": order})

    async def rows(self, since: int = 0) -> list[dict[str, Any]]:
        """Transactions after `since`."""
        _, found = await self.call("GET", "A/transactions/sinceid", id=since)
        listed: list[dict[str, Any]] = found["transactions"]
        return listed


@asynccontextmanager
async def serving(
    venue: Conductor, script: FaultScript = NO_FAULTS, limits: Limits | None = None
) -> AsyncIterator[Client]:
    """Serve `venue` on a free port for the block."""
    server = TestServer(create_app(venue, script, limits), handler_cancellation=True)
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(venue.run())
        async with TestClient(server) as http:
            yield Client(http, venue)
            venue.streams.close()
        playing.cancel()
