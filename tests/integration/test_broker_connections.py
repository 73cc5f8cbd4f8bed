"""Connections that are kept for orders, over bare sockets, in virtual time.

The server closes what has been silent for 25 s; more often than that each must be used.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from sepd.broker.oanda import OandaBroker
from sepd.broker.oanda.kept import EVERY_S
from sepd.clock import SystemClock
from sepd.domain.order import Done
from tests.support.bare_server import GOOD, READ, Peer, answer, quiet
from tests.support.oanda import entry, settings
from tests.support.virtual import run_virtually

PATIENCE_S = 25.0
ROUND = EVERY_S + 2.0  # a round and its new connections, at 1.8 a second
ACCOUNTS = answer(b'{"accounts": []}', 200)


class Server:
    """Answers on any number of connections; `peers` are those that it holds open.

    Attributes:
        told: the answer to the requests that keep connections.
        takes_s: how long that answer takes.
        asking: how many of those requests wait for it.
        begun: set when one of them comes.
        deaf: connections on which nothing is answered and nothing closed.
        opened: connections that were ever made.
    """

    def __init__(self) -> None:
        self.told = ACCOUNTS
        self.takes_s = 0.0
        self.asking = 0
        self.begun = asyncio.Event()
        self.deaf: list[Peer] = []
        self.opened = 0
        self.peers: list[Peer] = []
        self.requests: list[bytes] = []
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def asked(self) -> int:
        """How many requests kept a connection."""
        return sum(request.startswith(b"GET /v3/accounts HTTP") for request in self.requests)

    async def open(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse new connections and drop the old ones."""
        self._server.close()
        self.drop()
        await self._server.wait_closed()

    def drop(self) -> None:
        """Close every connection."""
        for peer in self.peers:
            peer.writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.opened += 1
        self.peers.append(peer)
        with suppress(asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            while True:
                async with asyncio.timeout(PATIENCE_S):
                    request = await peer.request()
                if peer in self.deaf:
                    await peer.end()
                    break
                self.requests.append(request)
                writer.write(await self._answer(request))
        self.peers.remove(peer)
        writer.close()

    async def _answer(self, request: bytes) -> bytes:
        if request.startswith(b"POST "):
            return GOOD
        if b"/instruments " in request:
            return READ
        self.asking += 1
        self.begun.set()
        await asyncio.sleep(self.takes_s)
        self.asking -= 1
        return self.told


@asynccontextmanager
async def connected(count: int = 2, **fields: Any) -> AsyncIterator[tuple[OandaBroker, Server]]:
    """A client that keeps `count` connections for orders, and its server."""
    server = Server()
    await server.open()
    of = settings(server.url, ready_connections=count, **fields)
    broker = OandaBroker(of, SystemClock(), random.Random(1))
    await broker.open()
    try:
        async with asyncio.TaskGroup() as group:
            staying = group.create_task(broker.stay_connected())
            yield broker, server
            staying.cancel()
    finally:
        await broker.close()
        await server.close()


async def place(broker: OandaBroker, orders: int = 1) -> float:
    """Place so many orders at once, all of which go well; how long that takes."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with asyncio.TaskGroup() as group:
        placed = [group.create_task(broker.place(entry())) for _ in range(orders)]
    assert all(isinstance(task.result(), Done) for task in placed)
    return loop.time() - began_s


@pytest.mark.parametrize(("count", "new"), [(0, 1), (1, 0), (2, 0), (4, 0)])
def test_orders_after_a_long_silence_open_no_connection(count: int, new: int) -> None:
    async def run() -> tuple[int, int]:
        async with connected(count) as (broker, server):
            await asyncio.sleep(600)
            before = server.opened
            assert await place(broker, max(count, 1)) == 0
            return before, server.opened - before

    opened, more = run_virtually(run())
    assert opened == count + 1
    assert more == new


def test_none_to_keep_means_no_requests() -> None:
    async def run() -> int:
        async with connected(0) as (broker, server):
            await asyncio.sleep(600)
            await broker.stay_connected()
            return server.asked

    assert run_virtually(run()) == 0


def test_all_are_used_equally() -> None:
    async def run() -> list[int]:
        async with connected(2) as (_, server):
            await asyncio.sleep(30 * EVERY_S)
            return [len(peer.requests) for peer in server.peers]

    assert run_virtually(run()) == pytest.approx([30, 30, 30], abs=2)


@pytest.mark.parametrize("at_s", [0.5, 1.5, 2.5])
def test_no_order_waits_for_the_requests_that_keep_connections(at_s: float) -> None:
    async def run() -> None:
        async with connected(2) as (broker, server):
            await asyncio.sleep(EVERY_S - 1)
            server.takes_s = 1
            server.begun.clear()
            await server.begun.wait()
            await asyncio.sleep(at_s)
            assert server.asking == 1
            assert await place(broker, orders=2) == 0
            assert server.asking == 1
            assert server.opened == 3

    run_virtually(run())


def test_an_order_goes_first_where_new_connections_are_scarce() -> None:
    async def run() -> list[bytes]:
        async with connected(2, connections_per_s=0.5) as (broker, server):
            await asyncio.sleep(1)
            server.drop()
            await quiet()
            server.requests.clear()
            await place(broker)
            return [request[:5] for request in server.requests]

    assert run_virtually(run()) == [b"POST "]


def test_what_a_burst_of_orders_opened_is_not_kept_on_purpose() -> None:
    async def run() -> tuple[int, int]:
        async with connected(2) as (broker, server):
            await asyncio.sleep(ROUND)
            await place(broker, orders=6)
            before = server.asked
            await asyncio.sleep(EVERY_S)
            return len(server.peers), server.asked - before

    held, asked = run_virtually(run())
    assert held > 3
    assert asked == 3


@pytest.mark.parametrize("dropped", [1, 3])
def test_what_the_server_drops_is_made_anew(dropped: int) -> None:
    async def run() -> tuple[int, int]:
        async with connected(2) as (broker, server):
            await asyncio.sleep(ROUND)
            for peer in server.peers[:dropped]:
                peer.writer.close()
            await asyncio.sleep(ROUND)
            opened = server.opened
            assert await place(broker, orders=2) == 0
            assert len(server.peers) == 3
            return opened, server.opened

    assert run_virtually(run()) == (3 + dropped, 3 + dropped)


def test_a_server_that_is_away_is_tried_until_it_is_back_and_told_of_once() -> None:
    async def run() -> int:
        async with connected(2) as (broker, server):
            await asyncio.sleep(ROUND)
            await server.close()
            await asyncio.sleep(600)
            await server.open()
            await asyncio.sleep(ROUND)
            opened = server.opened
            assert await place(broker, orders=2) == 0
            return server.opened - opened

    with capture_logs() as logs:
        assert run_virtually(run()) == 0
    assert [entry["event"] for entry in logs] == ["not_connected", "connected_again"]


def test_connections_that_fell_silent_are_found_in_one_round() -> None:
    async def run() -> int:
        async with connected(2, timeout_s=2) as (broker, server):
            await asyncio.sleep(ROUND)
            server.deaf = list(server.peers)
            await asyncio.sleep(3 * 2 + ROUND)
            opened = server.opened
            assert await place(broker, orders=2) == 0
            return server.opened - opened

    assert run_virtually(run()) == 0


@pytest.mark.parametrize("status", [401, 404, 503])
def test_any_answer_keeps_a_connection(status: int) -> None:
    async def run() -> int:
        async with connected(2) as (_, server):
            server.told = answer(b"{}", status)
            await asyncio.sleep(600)
            return server.opened

    with capture_logs() as logs:
        assert run_virtually(run()) == 3
    assert logs == []


def test_a_server_that_keeps_nothing_is_asked_no_more_often() -> None:
    async def run() -> int:
        async with connected(2) as (_, server):
            server.told = answer(b"{}", 200, headers=b"Connection: close\r\n")
            await asyncio.sleep(600)
            return server.opened

    assert run_virtually(run()) <= 3 * (600 / EVERY_S + 1)
