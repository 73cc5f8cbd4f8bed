"""Writes over bare sockets: what a server does to a connection, and what becomes of an order."""

from __future__ import annotations

import asyncio
import gzip
import random

import pytest

from sepd.broker.oanda import OandaBroker
from sepd.broker.oanda.exchange import BODY_LIMIT
from sepd.clock import SystemClock
from sepd.domain.order import Ambiguous, Done, Outcome, Unsent
from sepd.errors import ConfigError
from tests.support.bare_server import (
    BODY,
    GOOD,
    READ,
    Peer,
    answer,
    facing,
    orders,
    placed,
    quiet,
    saying,
)
from tests.support.oanda import NOON, TOKEN, A, S, entry, settings
from tests.support.virtual import LoopClock, run_virtually

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
DAWDLES = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


def test_an_order_is_one_request_and_its_connection_is_kept() -> None:
    outcomes, sent = run_virtually(placed(saying(READ, GOOD, GOOD, GOOD), times=3))
    assert [type(outcome) for outcome in outcomes] == [Done, Done, Done]
    assert sent == [3]


def test_what_a_request_says() -> None:
    async def run() -> list[bytes]:
        async with facing(saying(READ, GOOD, GOOD)) as (broker, peers):
            await broker.place(entry())
            await broker.cancel(8)
            return peers[0].requests

    _, order, cancel = run_virtually(run())
    head, _, body = order.partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert first == f"POST {A}/orders HTTP/1.1"
    named = dict(line.split(": ", 1) for line in headers)
    assert named["Authorization"] == f"Bearer {TOKEN}"
    assert named["Host"].startswith("127.0.0.1:")
    assert named["Content-Type"] == "application/json"
    assert named["Accept-Datetime-Format"] == "RFC3339"
    assert int(named["Content-Length"]) == len(body)
    assert cancel.startswith(f"PUT {A}/orders/8/cancel HTTP/1.1\r\n".encode())
    assert cancel.endswith(b"\r\nContent-Length: 0\r\n\r\n")
    assert b"Content-Type" not in cancel


@pytest.mark.parametrize(
    "whole",
    [
        DAWDLES + GOOD,
        b"HTTP/1.1 201 Created\r\n" + CHUNKED % (10, BODY[:10], len(BODY) - 10, BODY[10:]),
        answer(gzip.compress(BODY), headers=b"Content-Encoding: gzip\r\n"),
    ],
    ids=["after hints", "chunked", "packed"],
)
def test_an_answer_of_any_shape_is_read_and_the_connection_kept(whole: bytes) -> None:
    outcomes, sent = run_virtually(placed(saying(READ, whole, GOOD), times=2))
    assert [type(outcome) for outcome in outcomes] == [Done, Done]
    assert sent == [2]


@pytest.mark.parametrize("cut", [1, 9, GOOD.index(BODY) - 2, GOOD.index(BODY), len(GOOD) - 1])
def test_an_answer_in_two_pieces_is_one(cut: int) -> None:
    async def halting(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(READ)
        await peer.request()
        peer.writer.write(GOOD[:cut])
        await quiet()
        peer.writer.write(GOOD[cut:])
        await saying(GOOD)(peer)

    outcomes, sent = run_virtually(placed(halting, times=2))
    assert [type(outcome) for outcome in outcomes] == [Done, Done]
    assert sent == [2]


@pytest.mark.parametrize(
    "last",
    [
        answer(BODY, headers=b"Connection: close\r\n"),
        b"HTTP/1.0 201 Created\r\n\r\n" + BODY,
        GOOD + GOOD,
    ],
    ids=["it says so", "it is as long as the connection", "more came than was asked for"],
)
def test_an_answer_that_ends_its_connection_is_the_last_one(last: bytes) -> None:
    async def ending(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(READ)
        await peer.request()
        peer.writer.write(last)

    outcomes, sent = run_virtually(placed(ending, saying(GOOD), times=2))
    assert [type(outcome) for outcome in outcomes] == [Done, Done]
    assert sent == [1, 1]


@pytest.mark.parametrize("stale", [answer(b"", 408), answer(b"{}", 429), GOOD])
def test_what_lies_in_a_kept_connection_is_not_taken_for_the_answer(stale: bytes) -> None:
    async def chatty(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(READ)
        await quiet()
        peer.writer.write(stale)
        assert await peer.end() == b""

    async def run() -> tuple[Outcome, list[int]]:
        async with facing(chatty, saying(GOOD)) as (broker, peers):
            await quiet()
            await quiet()
            return await broker.place(entry()), orders(peers)

    outcome, sent = run_virtually(run())
    assert isinstance(outcome, Done)
    assert sent == [0, 1]


def test_a_connection_closed_before_an_order_is_replaced() -> None:
    async def closing(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(READ)

    outcomes, sent = run_virtually(placed(closing, saying(GOOD)))
    assert isinstance(outcomes[0], Done)
    assert sent == [0, 1]


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_closed_after_an_order_leaves_it_in_doubt(reset: bool) -> None:
    async def closing(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(READ)
        await peer.request()
        if reset:
            peer.writer.transport.abort()

    outcomes, sent = run_virtually(placed(closing, saying(GOOD), times=2))
    assert [type(outcome) for outcome in outcomes] == [Ambiguous, Done]
    assert sent == [1, 1]


def test_an_absurdly_long_answer_is_not_read_to_its_end() -> None:
    long = answer(b" " * (BODY_LIMIT + 1))
    outcomes, sent = run_virtually(placed(saying(READ, long), saying(GOOD), times=2))
    assert [type(outcome) for outcome in outcomes] == [Ambiguous, Done]
    assert "longer than" in str(outcomes[0])
    assert sent == [1, 1]


def test_a_bomb_as_long_as_its_connection_is_not_unpacked() -> None:
    async def bombing(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(READ)
        await peer.request()
        peer.writer.write(b"HTTP/1.1 201 Hm\r\nContent-Encoding: gzip\r\n\r\n")
        peer.writer.write(gzip.compress(bytes(1 << 25)))

    outcomes, _ = run_virtually(placed(bombing))
    assert isinstance(outcomes[0], Ambiguous)


def test_an_unread_429_is_not_kept() -> None:
    half = answer(b"{}", 429)[:-1]
    outcomes, sent = run_virtually(placed(saying(READ, half), saying(GOOD), times=2))
    assert [type(outcome) for outcome in outcomes] == [Unsent, Done]
    assert sent == [1, 1]


@pytest.mark.parametrize("told", [0, 1, len(GOOD) - 1])
def test_an_order_that_is_cancelled_leaves_no_half_read_connection(told: int) -> None:
    left: list[bytes] = []

    async def halting(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(READ)
        await peer.request()
        peer.writer.write(GOOD[:told])
        left.append(await peer.end())

    async def run() -> tuple[Outcome, list[int]]:
        async with facing(halting, saying(GOOD)) as (broker, peers):
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(broker.place(entry()))
                await quiet()
                waiting.cancel()
            await quiet()
            assert left == [b""]
            return await broker.place(entry()), orders(peers)

    outcome, sent = run_virtually(run())
    assert isinstance(outcome, Done)
    assert sent == [1, 1]


def test_an_entry_that_expires_while_it_waits_for_a_connection_is_not_sent() -> None:
    async def closing(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(READ)

    async def run() -> tuple[Outcome, Outcome, list[int]]:
        async with facing(closing, saying(GOOD), clock=LoopClock(NOON)) as (broker, peers):
            await quiet()
            late = await broker.place(entry(expires_ns=NOON + S // 5))
            return late, await broker.place(entry()), orders(peers)

    late, fresh, sent = run_virtually(run())
    assert isinstance(late, Unsent)
    assert "expired" in late.reason
    assert isinstance(fresh, Done)
    assert sent == [0, 1]


def test_no_path_smuggles_a_header_or_a_request() -> None:
    async def run() -> list[bytes]:
        async with facing(saying(READ, GOOD)) as (broker, peers):
            await broker.calls.positions.close("X HTTP/1.1\r\nX: y\r\n\r\nPOST /", long="ALL")
            return peers[0].requests

    _, request = run_virtually(run())
    assert request.startswith(f"PUT {A}/positions/X%20HTTP/1.1%0D%0AX%3A%20y".encode())
    assert request.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("tail", ["\n", "\r\nX: y", " ", "\0", "é"])
async def test_a_token_that_no_header_carries_is_refused(tail: str) -> None:
    broker = OandaBroker(
        settings("http://127.0.0.1:1", api_key=TOKEN + tail), SystemClock(), random.Random(1)
    )
    with pytest.raises(ConfigError, match="OANDA_API_KEY") as caught:
        await broker.open()
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("url", ["nowhere", "http://", "ftp://127.0.0.1", "http://127.0.0.1:x"])
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    broker = OandaBroker(settings(url), SystemClock(), random.Random(1))
    with pytest.raises(ConfigError, match=r"broker\.rest_url"):
        await broker.open()
