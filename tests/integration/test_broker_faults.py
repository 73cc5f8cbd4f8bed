"""What the network and the broker do to calls, and what the client makes of it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sepd.broker.oanda.attempt import Attempt
from sepd.broker.oanda.exchange import BODY_LIMIT
from sepd.clock import EventClock
from sepd.domain.market import Granularity
from sepd.domain.order import Ambiguous, Done, Refused, Unsent
from sepd.errors import (
    BrokerRejected,
    ConfigError,
    NotSent,
    OutcomeUnknown,
    SepdError,
    TransientError,
)
from tests.support.oanda import (
    FILLED,
    INSTRUMENTS,
    NOON,
    TOKEN,
    A,
    Answer,
    ScriptedOanda,
    connected,
    entry,
    leave,
    row,
    serving,
)
from tests.support.proxy import cutting

CANDLES = "/v3/instruments/EUR_USD/candles"
REJECTED = {"errorCode": "X", "errorMessage": "Invalid value specified for 'from'"}


def answer(body: bytes, status: int = 200, kind: str = "text/html") -> Answer:
    async def reply(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, content_type=kind)

    return reply


def losing(oanda: ScriptedOanda, body: Any = FILLED) -> Answer:
    """Apply the order, then break the connection without a reply."""

    async def reply(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        raise web.HTTPException

    return reply


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (answer(b'{"errorMessage":"Insufficient authorization"}', 401), ConfigError, "token"),
        (answer(b"", 403), ConfigError, "OANDA_ACCOUNT_ID"),
        (answer(b"<html>Bad Gateway</html>", 502), TransientError, "502"),
        (answer(b'{"errorMessage":"Timeout waiting for response."}', 504), TransientError, "504"),
        (answer(b"", 429), TransientError, "429"),
        (answer(b"", 302), TransientError, "302"),
        (answer(b"<html>", 404), TransientError, "404"),
        (answer(b"<html>maintenance</html>"), TransientError, "cannot be understood"),
        (answer(b'{"candles":['), TransientError, "cannot be understood"),
        (answer(b'{"candles":' + b"[" * 100_000), TransientError, "cannot be understood"),
        (answer(b"\xff"), TransientError, "cannot be understood"),
        (
            answer(b'{"candles":[{"time":"x","complete":true}]}'),
            TransientError,
            "lacks bid or ask",
        ),
        (answer(b'{"errorMessage":"Invalid value specified"}', 400), BrokerRejected, "Invalid"),
    ],
)
async def test_a_read_fails_by_reaction(reply: Answer, error: type[SepdError], words: str) -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("GET", CANDLES, reply)
        with pytest.raises(error, match=words):
            await broker.candles("EUR_USD", Granularity.M1, NOON, NOON + 1)


async def test_an_absurdly_long_answer_is_not_read_to_its_end() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("GET", f"{A}/pricing", answer(b" " * (BODY_LIMIT + 1)))
        with pytest.raises(TransientError, match="longer than"):
            await broker.quotes(["EUR_USD"])


async def test_a_bomb_of_zeros_is_not_unpacked() -> None:
    async def bomb(request: web.Request) -> web.Response:
        response = web.Response(body=b" " * (1 << 25), content_type="application/json")
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("POST", f"{A}/orders", bomb)
        outcome = await broker.place(entry())
    assert isinstance(outcome, Ambiguous)


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(NotSent, match="no connection"):
            async with connected(url):
                pass


async def test_wrong_credentials_are_a_matter_for_a_person() -> None:
    oanda = ScriptedOanda()
    oanda.answers.clear()
    oanda.does("GET", f"{A}/instruments", answer(b"", 401))
    async with serving(oanda):
        with pytest.raises(ConfigError) as caught:
            async with connected(oanda.url):
                pass
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("missing", [{"api_key": ""}, {"account_id": ""}])
async def test_without_credentials_nothing_is_sent(missing: dict[str, Any]) -> None:
    async with serving(ScriptedOanda()) as oanda:
        with pytest.raises(ConfigError, match="OANDA_API_KEY"):
            async with connected(oanda.url, **missing):
                pass
        assert oanda.requests == []


async def test_an_order_whose_reply_is_lost_is_ambiguous_and_sent_once() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("POST", f"{A}/orders", losing(oanda))
        outcome = await broker.place(entry())
    assert isinstance(outcome, Ambiguous)
    assert [request[0] for request in oanda.requests].count("POST") == 1


@pytest.mark.parametrize("what", ["close", "cancel"])
async def test_a_put_on_a_kept_connection_that_breaks_is_not_repeated(what: str) -> None:
    """aiohttp by itself would send it again."""
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("PUT", f"{A}/trades/8/close", losing(oanda))
        oanda.does("PUT", f"{A}/orders/8/cancel", losing(oanda))
        outcome = await (broker.place(leave()) if what == "close" else broker.cancel(8))
    assert isinstance(outcome, Ambiguous)
    assert [request[0] for request in oanda.requests].count("PUT") == 1


async def test_an_order_without_an_answer_in_time_is_ambiguous() -> None:
    async with serving(ScriptedOanda()) as oanda:
        hold = asyncio.Event()

        async def wait(_: web.Request) -> web.Response:
            await hold.wait()
            return web.Response()

        async with connected(oanda.url, timeout_s=0.3) as broker:
            oanda.does("POST", f"{A}/orders", wait)
            outcome = await broker.place(entry())
        hold.set()
    assert isinstance(outcome, Ambiguous)
    assert "in time" in outcome.reason


async def test_a_reply_cut_short_is_ambiguous() -> None:
    async with (
        serving(ScriptedOanda()) as oanda,
        cutting(oanda.url) as proxy,
        connected(proxy.url) as broker,
    ):
        oanda.on("POST", f"{A}/orders", FILLED, 201)
        proxy.cut()
        proxy.reply_limit = 250
        outcome = await broker.place(entry())
    assert isinstance(outcome, Ambiguous)


async def test_an_order_that_finds_no_connection_was_not_sent() -> None:
    async with AsyncExitStack() as client:
        async with serving(ScriptedOanda()) as oanda:
            broker = await client.enter_async_context(connected(oanda.url))
        with pytest.raises(TransientError):
            await broker.quotes(["EUR_USD"])
        outcome = await broker.place(entry())
    assert isinstance(outcome, Unsent)


async def test_an_entry_that_expired_in_the_line_is_not_sent() -> None:
    clock = EventClock(NOON)
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url, clock=clock) as broker:
        before = len(oanda.requests)
        outcome = await broker.place(entry(expires_ns=NOON))
        assert len(oanda.requests) == before
    assert isinstance(outcome, Unsent)
    assert "expired" in outcome.reason


async def test_an_exit_does_not_expire() -> None:
    clock = EventClock(NOON)
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url, clock=clock) as broker:
        oanda.on("PUT", f"{A}/trades/8/close", FILLED)
        assert isinstance(await broker.place(leave(expires_ns=NOON)), Done)


async def test_an_instrument_that_the_account_lacks_is_refused_here() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        outcome = await broker.place(entry(instrument="XAU_USD"))
    assert isinstance(outcome, Refused)


async def test_a_429_makes_everybody_pause() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("POST", f"{A}/orders", answer(b"", 429))
        oanda.on("GET", f"{A}/pricing", {"prices": []})
        assert isinstance(await broker.place(entry()), Unsent)
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(broker.quotes(["EUR_USD"]))
            await asyncio.sleep(0)
            assert broker._channel.rest.requests.waiting == 1
            assert oanda.requests[-1][0] == "POST"
        assert asked.result() == []


async def test_an_id_that_stays_missing_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sepd.broker.oanda.client.GAP_WAITS_S", (0.0, 0.0))
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        path = f"{A}/transactions/sinceid"
        oanda.on("GET", path, {"transactions": [row(7), row(9)], "lastTransactionID": "9"})
        with pytest.raises(TransientError, match="transaction 8 is missing although 9 exists"):
            await broker.transactions_since(6)


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("connected_", [False, True])
def test_nothing_of_aiohttp_escapes(writes: bool, connected_: bool) -> None:
    """Every error class of aiohttp's client, made without its arguments."""
    found = [
        kind
        for kind in vars(aiohttp).values()
        if isinstance(kind, type) and issubclass(kind, aiohttp.ClientError)
    ]
    assert len(found) > 20
    for kind in [*found, TimeoutError, ConnectionResetError, socket.gaierror, OSError]:
        attempt = Attempt("asking", writes=writes)
        attempt.connected = connected_
        with pytest.raises(SepdError) as caught, attempt:
            raise _bare(kind)
        if issubclass(kind, aiohttp.InvalidURL):
            assert isinstance(caught.value, ConfigError)
        elif not connected_:
            assert isinstance(caught.value, NotSent)
        else:
            assert isinstance(caught.value, OutcomeUnknown if writes else TransientError)


def _bare(kind: type[BaseException]) -> BaseException:
    """An error of a class whose constructor wants what only aiohttp has."""

    class Bare(kind):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            pass

        def __str__(self) -> str:
            return "bare"

    return Bare()


async def test_the_token_travels_in_the_header_only() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.on("GET", f"{A}/instruments", INSTRUMENTS)
        await broker.instruments()
        assert TOKEN not in repr(broker._settings)
        for request in oanda.requests:
            assert TOKEN not in request[1] + str(request[2]) + request[3].decode()
