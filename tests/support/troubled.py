"""A small OANDA in virtual time that keeps the truth and, as scripted, tells it badly.

Prices, transactions and troubles are drawn from a seed before anything starts. The truth (all
quotes, the candles they make, all transactions) is known to the test; the client sees it through
streams that fall silent, break, repeat and garble, and through calls that fail and lag.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum

import msgspec
from aiohttp import web
from msgspec import Struct

from sepd.domain.market import Granularity, Quote
from sepd.domain.time import format_time, parse_time
from tests.support.oanda import INSTRUMENTS, NOON, S, heartbeat, price, row

PAIRS = ("EUR_USD", "NZD_USD")
CALM_S = 60.0


class Kind(StrEnum):
    """Troubles."""

    SILENCE = "silence: streams stay open and never bring anything again"
    CUT = "cut: streams break, and new ones are refused"
    HALF_OPEN = "half-open: nothing is answered, nothing is closed, streams are dead"
    GARBLE = "garble: lines of the price stream are cut or replaced"
    REPEAT = "repeat: lines come twice, old ones come again"
    LOSE = "lose: rows are left out of the transaction stream"
    REFUSE = "refuse: calls are answered with 429, 5xx, pages, halves, or a reset"
    LAG = "lag: newest candles and transactions are not shown yet"


class Trouble(Struct, frozen=True):
    """One trouble, in seconds of virtual time."""

    kind: Kind
    start_s: float
    end_s: float


class Script(Struct, frozen=True):
    """All that happens in a run."""

    length_s: float
    quotes: tuple[Quote, ...]
    transactions: tuple[float, ...]
    troubles: tuple[Trouble, ...]

    def active(self, kind: Kind, now_s: float) -> bool:
        """Whether a trouble of this kind is on."""
        return any(t.kind is kind and t.start_s <= now_s < t.end_s for t in self.troubles)


def script(seed: int, kinds: Sequence[Kind] = tuple(Kind)) -> Script:
    """A run drawn from `seed`: prices, transactions, and troubles of the given kinds."""
    rng = random.Random(seed)
    length_s = rng.uniform(200, 500)
    quotes: list[Quote] = []
    for name in PAIRS:
        at_s, level, pause_s = 0.5, 110_000, rng.choice((0.4, 2.0, 12.0))
        while at_s < length_s:
            spread = rng.choice((8, 10, 15))
            quotes.append(Quote(name, NOON + round(at_s * 1e3) * S // 1000, level, level + spread))
            at_s += 0.001 + rng.expovariate(1 / pause_s)
            level += rng.randint(-9, 9)
    transactions = sorted(rng.uniform(0, length_s - CALM_S) for _ in range(rng.randint(5, 60)))
    troubles = []
    for _ in range(rng.randint(1, 8)):
        start_s = rng.uniform(0, length_s - CALM_S - 30)
        troubles.append(Trouble(rng.choice(kinds), start_s, start_s + rng.choice((0.3, 3, 12, 30))))
    quotes.sort(key=lambda quote: quote.time_ns)
    return Script(length_s, tuple(quotes), tuple(transactions), tuple(troubles))


class TroubledOanda:
    """Plays a script to whoever connects."""

    def __init__(self, plan: Script, seed: int) -> None:
        self.plan = plan
        self._rng = random.Random(seed)
        self._streams: dict[asyncio.Queue[bytes | None], bool] = {}
        self._shown = 0
        self.rows = 0
        self.requests_s: list[float] = []

    @property
    def now_s(self) -> float:
        """Virtual time."""
        return asyncio.get_running_loop().time()

    def on(self, kind: Kind) -> bool:
        """Whether a trouble of this kind is on."""
        return self.plan.active(kind, self.now_s)

    async def play(self) -> None:
        """Let everything happen at its time."""
        events = [((q.time_ns - NOON) / S, 1, number) for number, q in enumerate(self.plan.quotes)]
        events += [(at_s, 0, number + 1) for number, at_s in enumerate(self.plan.transactions)]
        events += [(float(at_s), 2, 0) for at_s in range(5, int(self.plan.length_s), 5)]
        events += [(trouble.start_s, 3, 0) for trouble in self.plan.troubles]
        for at_s, what, number in sorted(events):
            await asyncio.sleep(at_s - self.now_s)
            (self._transaction, self._quote, self._beat, self._break)[what](number)
        await asyncio.sleep(self.plan.length_s - self.now_s)

    def _quote(self, number: int) -> None:
        self._shown = number + 1
        line = _line(self.plan.quotes[number])
        self._tell(line, prices=True)
        if self.on(Kind.REPEAT):
            again = self._rng.randrange(self._shown)
            self._tell(self._rng.choice((line, _line(self.plan.quotes[again]))), prices=True)

    def _transaction(self, number: int) -> None:
        self.rows = number
        if not self.on(Kind.LOSE):
            self._tell(_encode(row(number)), prices=False)
            if self.on(Kind.REPEAT):
                self._tell(_encode(row(self._rng.randint(1, number))), prices=False)

    def _beat(self, _: int) -> None:
        now_ns = NOON + round(self.now_s * S)
        self._tell(_encode(heartbeat(now_ns)), prices=True)
        body = heartbeat(now_ns, lastTransactionID=str(self.rows))
        self._tell(_encode(body), prices=False)

    def _break(self, _: int) -> None:
        if self.on(Kind.CUT):
            for stream in self._streams:
                stream.put_nowait(None)

    def _tell(self, line: bytes, *, prices: bool) -> None:
        if self.on(Kind.SILENCE) or self.on(Kind.HALF_OPEN):
            self._streams.clear()
        if prices and self.on(Kind.GARBLE) and self._rng.random() < 0.5:
            line = self._rng.choice((line[: len(line) // 2] + b"\n", b"\xff\x00{\n", b"<html>\n"))
        for stream, wants_prices in self._streams.items():
            if wants_prices is prices:
                stream.put_nowait(line)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer anything."""
        self.requests_s.append(self.now_s)
        if self.on(Kind.HALF_OPEN):
            await asyncio.sleep(3_600)
        if request.path.endswith("/stream"):
            return await self._stream(request)
        if self.on(Kind.REFUSE) and self._rng.random() < 0.7:
            return await self._refusal(request)
        if request.path.endswith("/instruments"):
            return _json(INSTRUMENTS)
        if request.path.endswith("/sinceid"):
            return _json(self._since(int(request.query["id"])))
        return _json(self._candles(request))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self.on(Kind.CUT):
            return web.Response(status=503)
        prices = "pricing" in request.path
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        newest = {quote.instrument: quote for quote in self.plan.quotes[: self._shown]}
        for quote in newest.values() if prices else ():
            lines.put_nowait(_line(quote))
        if not self.on(Kind.SILENCE):
            self._streams[lines] = prices
        try:
            while (line := await lines.get()) is not None:
                await response.write(line)
        finally:
            self._streams.pop(lines, None)
        return response

    async def _refusal(self, request: web.Request) -> web.StreamResponse:
        match self._rng.randrange(6):
            case 0:
                return web.Response(status=429)
            case 1:
                return web.Response(body=b'{"candles":[{"ti', content_type="application/json")
            case 2:
                return web.Response(body=b"<html>", content_type="text/html")
            case 3:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case 4:
                await asyncio.sleep(self._rng.uniform(1, 20))
                return web.Response(status=504)
            case _:
                return web.Response(status=self._rng.choice((500, 502, 503)))

    def _since(self, after: int) -> object:
        """Rows as the record shows them: while it lags, rows are missing and the head is old."""
        rows = list(range(after + 1, self.rows + 1))[:10]
        head = self.rows
        if self.on(Kind.LAG) and rows:
            if self._rng.random() < 0.5:
                rows.pop(self._rng.randrange(len(rows)))
            else:
                head = rows.pop() - 1
        return {
            "transactions": [row(number) for number in rows],
            "lastTransactionID": str(max(head, after)),
        }

    def _candles(self, request: web.Request) -> object:
        name = request.path.split("/")[3]
        length = Granularity(request.query["granularity"])
        first, count = parse_time(request.query["from"]), int(request.query["count"])
        now_ns = NOON + round(self.now_s * S)
        if self.on(Kind.LAG):
            now_ns -= self._rng.randrange(3 * S)
        shown = [q for q in self.plan.quotes[: self._shown] if q.time_ns <= now_ns]
        rows = [
            {
                "time": format_time(start),
                "complete": start + length.ns <= now_ns,
                "volume": len(quotes),
                "bid": _ohlc([quote.bid for quote in quotes]),
                "ask": _ohlc([quote.ask for quote in quotes]),
            }
            for start, quotes in _by_candle(shown, name, length).items()
            if start >= first
        ]
        return {"candles": rows[:count]}


def _by_candle(quotes: Sequence[Quote], name: str, length: Granularity) -> dict[int, list[Quote]]:
    found: dict[int, list[Quote]] = {}
    for quote in quotes:
        if quote.instrument == name:
            found.setdefault(length.floor(quote.time_ns), []).append(quote)
    return found


def true_starts(plan: Script, name: str, length: Granularity) -> list[int]:
    """Starts of all candles that exist."""
    return list(_by_candle(plan.quotes, name, length))


def _ohlc(points: Sequence[int]) -> dict[str, str]:
    values = {"o": points[0], "h": max(points), "l": min(points), "c": points[-1]}
    return {key: f"{value / 1e5:.5f}" for key, value in values.items()}


def _line(quote: Quote) -> bytes:
    bid, ask = f"{quote.bid / 1e5:.5f}", f"{quote.ask / 1e5:.5f}"
    return _encode(price(quote.time_ns, bid, ask, instrument=quote.instrument))


def _encode(body: object) -> bytes:
    return msgspec.json.encode(body) + b"\n"


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


@asynccontextmanager
async def serving_troubled(oanda: TroubledOanda) -> AsyncIterator[str]:
    """Serve on a free port; yields the address."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", oanda.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
