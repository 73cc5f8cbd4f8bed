"""A TCP proxy that does to a connection what networks do: cut, freeze, withhold, truncate."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_RESET = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Forwards bytes to a server until told otherwise.

    Attributes:
        url: where clients connect.
        opened_s: loop times at which clients connected.
        frozen: while set, bytes are read from neither side: a half-open connection.
        withhold: while set, requests pass and replies do not; the connection is reset instead.
        refuse: while set, new connections are reset at once.
        reply_limit: so many bytes of reply pass on each new connection, then it is reset.
    """

    def __init__(self, target: str) -> None:
        where = urlsplit(target)
        self._host, self._port = where.hostname or "", where.port or 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._thaw = asyncio.Event()
        self._thaw.set()
        self.url = ""
        self.opened_s: list[float] = []
        self.withhold = False
        self.refuse = False
        self.reply_limit: int | None = None

    @property
    def frozen(self) -> bool:
        """Whether nothing passes although all connections stand."""
        return not self._thaw.is_set()

    def freeze(self) -> None:
        """Let nothing pass in either direction; connections stay open."""
        self._thaw.clear()

    def thaw(self) -> None:
        """Let bytes pass again."""
        self._thaw.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened_s.append(asyncio.get_running_loop().time())
        if self.refuse:
            _reset(writer)
            return
        remote_reader, remote = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, remote}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, remote, None))
                group.create_task(self._pump(remote_reader, writer, self.reply_limit))
        except* OSError:
            pass
        finally:
            for end in (writer, remote):
                self._writers.discard(end)
                _reset(end)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None
    ) -> None:
        """Copy until the end, a limit or a reset; raises to end the other direction too."""
        is_reply = writer.get_extra_info("sockname") == self._address
        while data := await reader.read(1 << 16):
            await self._thaw.wait()
            if is_reply and self.withhold:
                raise ConnectionResetError
            if limit is not None:
                data, limit = data[:limit], limit - len(data)
            writer.write(data)
            await writer.drain()
            if limit is not None and limit <= 0:
                raise ConnectionResetError
        raise ConnectionResetError

    async def _open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._address = server.sockets[0].getsockname()
        self.url = f"http://127.0.0.1:{self._address[1]}"
        return server


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, so that the other side learns at once."""
    if writer.is_closing():
        return
    raw = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@asynccontextmanager
async def cutting(target: str) -> AsyncIterator[CuttingProxy]:
    """A proxy before the server at `target`."""
    proxy = CuttingProxy(target)
    server = await proxy._open()
    try:
        yield proxy
    finally:
        proxy.thaw()
        server.close()
        proxy.cut()
        await server.wait_closed()
