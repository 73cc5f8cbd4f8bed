"""A server of bare sockets, connection by connection as a test says, and a client that faces it."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import msgspec

from sepd.broker.oanda import OandaBroker
from sepd.clock import SystemClock
from sepd.domain.order import Outcome
from sepd.ports import Clock
from tests.support.oanda import FILLED, INSTRUMENTS, entry, settings

BODY = msgspec.json.encode(FILLED)


def answer(body: bytes, status: int = 201, *, headers: bytes = b"") -> bytes:
    """An answer of known length."""
    head = b"HTTP/1.1 %d Hm\r\nContent-Length: %d\r\n%b\r\n" % (status, len(body), headers)
    return head + body


GOOD = answer(BODY)
READ = answer(msgspec.json.encode(INSTRUMENTS), 200)


class Peer:
    """The server's end of a connection; `requests` holds what came, one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.requests: list[bytes] = []

    async def request(self) -> bytes:
        """The next request, whole."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        body = await self._reader.readexactly(int(length[1]) if length else 0)
        self.requests.append(head + body)
        return head + body

    async def end(self) -> bytes:
        """What else comes until the client closes the connection."""
        return await self._reader.read()


Script = Callable[[Peer], Awaitable[None]]


def saying(*answers: bytes) -> Script:
    """One answer to each request; then nothing, until the client closes."""

    async def script(peer: Peer) -> None:
        for each in answers:
            await peer.request()
            peer.writer.write(each)
        assert await peer.end() == b""

    return script


@asynccontextmanager
async def facing(
    *scripts: Script, clock: Clock | None = None
) -> AsyncIterator[tuple[OandaBroker, list[Peer]]]:
    """A client whose first connection the first script serves, and so on; it has read once."""
    peers: list[Peer] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(Peer(reader, writer))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await scripts[len(peers) - 1](peers[-1])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    broker = OandaBroker(settings(url), clock or SystemClock(), random.Random(1))
    await broker.open()
    try:
        yield broker, peers
    finally:
        await broker.close()
        server.close()
        await server.wait_closed()


async def quiet() -> None:
    """Until nothing is under way: virtual time passes only when no socket has anything to say."""
    await asyncio.sleep(0.1)


def orders(peers: list[Peer]) -> list[int]:
    """How many orders came over each connection."""
    return [sum(request[:5] == b"POST " for request in peer.requests) for peer in peers]


async def placed(*scripts: Script, times: int = 1) -> tuple[list[Outcome], list[int]]:
    """Outcomes of orders one after the other, and how many came over each connection."""
    async with facing(*scripts) as (broker, peers):
        outcomes = []
        for _ in range(times):
            await quiet()
            outcomes.append(await broker.place(entry()))
        return outcomes, orders(peers)
