"""A proxy between Unix sockets that can cut the line at a chosen moment."""

from __future__ import annotations

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Self


class UnixProxy:
    """Passes bytes on between clients and the server at `upstream`.

    With `lose_reply_to` set, the next request that contains these bytes reaches the server, and
    instead of the server's reply the client sees the line break. `cut()` breaks every line now.
    With `hold_reply_to` set, the reply to the next request that matches waits for `release()`;
    `held` is that request once it has come. `meanwhile` is awaited before each reply is passed on,
    as if the client had been frozen.
    """

    def __init__(self, listen: Path, upstream: Path) -> None:
        self.lose_reply_to = b""
        self.lost = 0
        self.hold_reply_to: re.Pattern[bytes] | None = None
        self.held: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._released = asyncio.Event()
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self._listen = listen
        self._upstream = upstream
        self._lines: set[StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self._listen)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def release(self) -> None:
        """Let the reply that is held pass."""
        self._released.set()

    def cut(self) -> None:
        """Break every line without a word."""
        for line in self._lines:
            line.transport.abort()

    async def _serve(self, client: StreamReader, answer: StreamWriter) -> None:
        upstream, request = await asyncio.open_unix_connection(self._upstream)
        mine = {answer, request}
        self._lines |= mine
        losing, holding = asyncio.Event(), asyncio.Event()
        with suppress(ConnectionError):
            async with asyncio.TaskGroup() as both:
                both.create_task(self._ask(client, request, losing, holding))
                both.create_task(self._reply(upstream, answer, losing, holding))
        for line in mine:
            line.transport.abort()
        self._lines -= mine

    async def _ask(
        self,
        client: StreamReader,
        request: StreamWriter,
        losing: asyncio.Event,
        holding: asyncio.Event,
    ) -> None:
        while data := await client.read(65_536):
            if self.lose_reply_to and self.lose_reply_to in data:
                self.lose_reply_to = b""
                losing.set()
            if self.hold_reply_to is not None and self.hold_reply_to.search(data):
                self.hold_reply_to = None
                holding.set()
                self.held.set_result(data)
            request.write(data)
            await request.drain()
        request.transport.abort()

    async def _reply(
        self,
        upstream: StreamReader,
        answer: StreamWriter,
        losing: asyncio.Event,
        holding: asyncio.Event,
    ) -> None:
        while data := await upstream.read(65_536):
            if losing.is_set():
                self.lost += 1
                break
            if holding.is_set():
                await self._released.wait()
            if self.meanwhile:
                await self.meanwhile()
            answer.write(data)
            await answer.drain()
        answer.transport.abort()
