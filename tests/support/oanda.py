"""A scripted OANDA v20 server for tests of the client: every answer is what the test says."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web
from pydantic import SecretStr

from sepd.broker.oanda import OandaBroker
from sepd.clock import SystemClock
from sepd.domain.order import OrderIntent, Purpose
from sepd.domain.time import format_time
from sepd.ports import Clock
from sepd.settings import BrokerSettings

ACCOUNT = "101-004-0000000-001"
A = f"/v3/accounts/{ACCOUNT}"
TOKEN = "canary-token-6b1f"
NOON = 1_489_579_200_000_000_000
S = 1_000_000_000
INSTRUMENTS = {
    "instruments": [
        {"name": name, "type": "CURRENCY", "displayPrecision": digits, "pipLocation": pip}
        for name, digits, pip in (("EUR_USD", 5, -4), ("USD_JPY", 3, -2), ("NZD_USD", 5, -4))
    ],
    "lastTransactionID": "6",
}
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def price(
    time_ns: int = NOON, bid: str = "1.10000", ask: str = "1.10010", **fields: Any
) -> dict[str, Any]:
    """A PRICE line."""
    return {
        "type": "PRICE",
        "time": format_time(time_ns),
        "bids": [{"price": bid, "liquidity": 10_000_000}],
        "asks": [{"price": ask, "liquidity": 10_000_000}],
        "closeoutBid": bid,
        "closeoutAsk": ask,
        "status": "tradeable",
        "tradeable": True,
        "instrument": "EUR_USD",
        **fields,
    }


def heartbeat(time_ns: int = NOON, **fields: Any) -> dict[str, Any]:
    """A HEARTBEAT line."""
    return {"type": "HEARTBEAT", "time": format_time(time_ns), **fields}


def row(number: int, kind: str = "CLIENT_CONFIGURE", **fields: Any) -> dict[str, Any]:
    """A transaction row."""
    return {"id": str(number), "type": kind, "time": format_time(NOON + number), **fields}


ORDER = row(
    7,
    "MARKET_ORDER",
    instrument="EUR_USD",
    units="1000",
    reason="CLIENT_ORDER",
    clientExtensions={"id": "sepd-entry"},
)
FILL = row(
    8,
    "ORDER_FILL",
    orderID="7",
    clientOrderID="sepd-entry",
    instrument="EUR_USD",
    units="1000",
    price="1.10010",
    pl="0.0000",
    financing="0.0000",
    commission="0.0000",
    accountBalance="100000.0000",
    reason="MARKET_ORDER",
    tradeOpened={
        "tradeID": "8",
        "units": "1000",
        "price": "1.10010",
        "clientExtensions": {"id": "sepd-entry"},
    },
)
FILLED = {
    "orderCreateTransaction": ORDER,
    "orderFillTransaction": FILL,
    "relatedTransactionIDs": ["7", "8", "9", "10"],
    "lastTransactionID": "10",
}


def account(**fields: Any) -> dict[str, Any]:
    """The reply on an account that holds a trade with its stop and target, and an order."""
    return {
        "account": {
            "id": "101",
            "currency": "USD",
            "balance": "100000.0000",
            "NAV": "100001.0000",
            "marginUsed": "22.0000",
            "marginAvailable": "99979.0000",
            "hedgingEnabled": False,
            "trades": [
                {
                    "id": "8",
                    "instrument": "EUR_USD",
                    "price": "1.10010",
                    "openTime": "2017-03-15T12:00:00.000000000Z",
                    "initialUnits": "1000",
                    "currentUnits": "600",
                    "realizedPL": "0.4000",
                    "unrealizedPL": "1.0000",
                    "financing": "0.0000",
                    "clientExtensions": {"id": "sepd-1"},
                    "stopLossOrderID": "9",
                    "takeProfitOrderID": "10",
                }
            ],
            "orders": [
                {"id": "9", "type": "STOP_LOSS", "tradeID": "8", "price": "1.09710"},
                {"id": "10", "type": "TAKE_PROFIT", "tradeID": "8", "price": "1.10460"},
                {
                    "id": "11",
                    "type": "LIMIT",
                    "instrument": "USD_JPY",
                    "units": "-5",
                    "price": "111.5",
                    "clientExtensions": {"id": "mine"},
                },
            ],
            **fields,
        },
        "lastTransactionID": "11",
    }


def entry(**fields: Any) -> OrderIntent:
    """An intent to buy a thousand EUR_USD."""
    values: dict[str, Any] = {
        "id": "sepd-entry",
        "account_id": ACCOUNT,
        "signal_id": "S1",
        "purpose": Purpose.ENTRY,
        "instrument": "EUR_USD",
        "units": Decimal(1000),
        "created_ns": NOON,
        "expires_ns": 1 << 62,
        "checkpoint": 6,
        "price_bound": 110_060,
        "stop_loss": 109_710,
        "take_profit": 110_460,
    }
    return OrderIntent(**(values | fields))


def leave(**fields: Any) -> OrderIntent:
    """An intent to close trade 8."""
    values = {"id": "sepd-exit", "purpose": Purpose.EXIT, "trade_id": 8, "units": Decimal(-1000)}
    return entry(price_bound=None, stop_loss=None, take_profit=None, **(values | fields))


class ScriptedOanda:
    """Answers by path; unscripted paths get 404. `requests` holds what arrived."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], deque[Answer]] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.connections = 0
        self.url = ""
        self.on("GET", f"/v3/accounts/{ACCOUNT}/instruments", INSTRUMENTS)

    def on(self, method: str, path: str, body: Any, status: int = 200) -> None:
        """Answer `path` with JSON; the last answer given for a path is repeated for ever."""
        self.does(method, path, _json(body, status))

    def does(self, method: str, path: str, answer: Answer) -> None:
        """Answer `path` by a coroutine."""
        self.answers.setdefault((method, path), deque()).append(answer)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Record the request and play the next answer."""
        body = await request.read()
        self.requests.append((request.method, request.path, dict(request.query), body))
        waiting = self.answers.get((request.method, request.path))
        if not waiting:
            return web.json_response({"errorMessage": "not scripted"}, status=404)
        answer = waiting[0] if len(waiting) == 1 else waiting.popleft()
        return await answer(request)


def _json(body: Any, status: int) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(
            body=msgspec.json.encode(body), status=status, content_type="application/json"
        )

    return answer


def streaming(*blocks: bytes | dict[str, Any], hold: asyncio.Event | None = None) -> Answer:
    """An answer that streams `blocks`, a dict as a line, then waits for `hold` and ends."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for block in blocks:
            await response.write(
                block if isinstance(block, bytes) else msgspec.json.encode(block) + b"\n"
            )
        if hold is not None:
            await hold.wait()
        return response

    return answer


@asynccontextmanager
async def serving(oanda: ScriptedOanda) -> AsyncIterator[ScriptedOanda]:
    """Serve on a free port; open streams are cut at the end."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{tail:.*}", oanda.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    oanda.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield oanda
    finally:
        await runner.cleanup()


def settings(url: str, **fields: Any) -> BrokerSettings:
    """Settings that point at `url`."""
    values: dict[str, Any] = {
        "api_key": SecretStr(TOKEN),
        "account_id": ACCOUNT,
        "rest_url": url,
        "stream_url": url,
        "timeout_s": 5.0,
    }
    return BrokerSettings(**(values | fields))


@asynccontextmanager
async def connected(
    url: str, *, clock: Clock | None = None, paced: bool = False, **fields: Any
) -> AsyncIterator[OandaBroker]:
    """An open client of the server at `url`."""
    broker = OandaBroker(
        settings(url, **fields), clock or SystemClock(), random.Random(1), paced=paced
    )
    await broker.open()
    try:
        yield broker
    finally:
        await broker.close()
