"""A TCP proxy that waits for order requests and cuts each at a chosen place."""

from __future__ import annotations

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from urllib.parse import urlsplit

_ORDER = re.compile(rb"(POST|PUT) \S+/(orders|close) HTTP/")


class Cut(StrEnum):
    """What happens to one order request, or to its reply."""

    LOST_REQUEST = "lost_request"
    HALF_REQUEST = "half_request"
    LOST_REPLY = "lost_reply"
    HALF_REPLY = "half_reply"
    LATE_REPLY = "late_reply"


class OrderProxy:
    """Forwards bytes; every order request takes the next cut of `plan`, while there is one.

    A line that is cut is reset on both sides, all but a late reply.

    Attributes:
        done: cuts that were made.
        late_s: how late a late reply is.
    """

    def __init__(self, target: str) -> None:
        where = urlsplit(target)
        self._host, self._port = where.hostname or "", where.port or 0
        self._lines: set[StreamWriter] = set()
        self.url = ""
        self.plan: deque[Cut] = deque()
        self.done: Counter[Cut] = Counter()
        self.late_s = 0.5

    def cut(self) -> None:
        """Break every line at once, streams included."""
        for line in self._lines:
            line.transport.abort()

    async def open(self) -> asyncio.Server:
        """Listen."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _serve(self, client: StreamReader, answer: StreamWriter) -> None:
        upstream, request = await asyncio.open_connection(self._host, self._port)
        mine = {answer, request}
        self._lines |= mine
        struck: deque[Cut] = deque()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._ask(client, request, struck))
                both.create_task(self._reply(upstream, answer, struck))
        except* OSError:
            pass
        finally:
            self._lines -= mine
            for line in mine:
                line.transport.abort()

    async def _ask(self, reader: StreamReader, writer: StreamWriter, struck: deque[Cut]) -> None:
        while data := await reader.read(1 << 16):
            if self.plan and _ORDER.match(data):
                cut = self.plan.popleft()
                self.done[cut] += 1
                if cut is Cut.LOST_REQUEST:
                    break
                if cut is Cut.HALF_REQUEST:
                    writer.write(data[: len(data) // 2])
                    await writer.drain()
                    break
                struck.append(cut)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    async def _reply(self, reader: StreamReader, writer: StreamWriter, struck: deque[Cut]) -> None:
        while data := await reader.read(1 << 16):
            cut = struck.popleft() if struck else None
            if cut is Cut.LOST_REPLY:
                break
            if cut is Cut.LATE_REPLY:
                await asyncio.sleep(self.late_s)
            half = len(data) // 2 if cut is Cut.HALF_REPLY else len(data)
            writer.write(data[:half])
            await writer.drain()
            if half < len(data):
                break
        raise ConnectionResetError


@asynccontextmanager
async def order_proxy(target: str) -> AsyncIterator[OrderProxy]:
    """A proxy before the venue at `target`."""
    proxy = OrderProxy(target)
    server = await proxy.open()
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await server.wait_closed()
