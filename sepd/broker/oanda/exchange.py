"""Writes to OANDA: each one piece of bytes on a pooled connection, and one answer.

aiohttp makes, keeps and secures the connections and reads the answer; the request is written here,
around its client: most of its bytes are known beforehand, and nobody repeats it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from yarl import URL

from sepd.broker.oanda.attempt import Connector
from sepd.errors import NotSent

BODY_LIMIT = 1 << 20
_SAFE = "/@%"
_HEADS = 64


class Exchange:
    """Requests that write, to one server.

    Args:
        session: whose connections and headers are used.
        url: the server, perhaps with the beginning of every path.
        timeout_s: for a request, from here to the end of its answer.
    """

    def __init__(
        self, session: aiohttp.ClientSession, connector: Connector, url: URL, timeout_s: float
    ) -> None:
        headers = {**session.headers, "Accept-Encoding": "identity"}
        self._template = aiohttp.ClientRequest("POST", url, headers=headers, session=session)
        self._key = self._template.connection_key
        self._connector = connector
        self._connecting = session.timeout
        self._timeout_s = timeout_s
        self._prefix = url.raw_path.rstrip("/")
        self._head = lru_cache(_HEADS)(self._prepared)

    @property
    def kept(self) -> int:
        """How many connections to the server are kept and free."""
        return self._connector.idle(self._key)

    def compose(self, method: str, path: str, body: bytes) -> bytes:
        """All the bytes of a request."""
        return b"%b%d\r\n\r\n%b" % (self._head(method, path, bool(body)), len(body), body)

    def rehearse(self) -> None:
        """Look for a connection, within an `Attempt`; nothing is sent."""
        self._connector.look(self._key)

    async def send(self, request: bytes, fence: Callable[[], str]) -> tuple[int, bytes]:
        """Write a request once, within an `Attempt`; status and body, without the body of a 429.

        Args:
            fence: asked when there is a connection; a reason it gives stops the request.

        Raises:
            NotSent: `fence` gave a reason.
            TimeoutError: no connection or no answer in time.
            aiohttp.ClientError: no connection, or an answer that is none or too long.
        """
        connection = await self._connector.kept(self._key)
        if connection is not None:
            return await self._ask(connection, request, fence)
        async with asyncio.timeout(self._timeout_s):
            connection = await self._connector.connect(self._template, [], self._connecting)
            return await self._ask(connection, request, fence)

    async def _ask(
        self, connection: Connection, request: bytes, fence: Callable[[], str]
    ) -> tuple[int, bytes]:
        """Write, read; the connection is closed unless the answer has been read to its end."""
        if reason := fence():
            connection.release()
            raise NotSent(reason)
        try:
            protocol = hand_over(connection, request)
            async with asyncio.timeout(self._timeout_s):
                answer = await _answer(protocol)
        except BaseException:
            connection.close()
            raise
        connection.release()
        return answer

    def _prepared(self, method: str, path: str, has_body: bool) -> bytes:
        """A request up to the length of its body. What no path has is escaped."""
        headers = {**self._template.headers, "Content-Type": "application/json"}
        lines = [f"{method} {self._prefix}{quote(path, safe=_SAFE)} HTTP/1.1"]
        for name, value in headers.items():
            if name != "Content-Length" and (has_body or name != "Content-Type"):
                lines.append(f"{name}: {value}")
        return "\r\n".join([*lines, "Content-Length: "]).encode("ascii")


def hand_over(connection: Connection, request: bytes) -> ResponseHandler:
    """Write all of `request` at once; who reads the answer.

    With nothing queued before it, both uvloop's transports and asyncio's, TLS or not, have tried
    the system call by the time `write` returns.
    """
    protocol = connection.protocol
    assert protocol is not None
    assert protocol.transport is not None
    protocol.transport.write(request)
    return protocol


async def _answer(protocol: ResponseHandler) -> tuple[int, bytes]:
    """Status and body; what precedes the answer (1xx) is passed over."""
    protocol.set_response_params(read_until_eof=True)
    status = 100
    while 100 <= status < 200 and status != 101:
        try:
            head, content = await protocol.read()
        except (HttpProcessingError, aiohttp.EofStream) as error:
            raise aiohttp.ClientPayloadError(f"the answer is not HTTP: {error}") from None
        status = head.code
    return status, b"" if status == 429 else await whole(content, BODY_LIMIT)


async def whole(content: aiohttp.StreamReader, limit: int) -> bytes:
    """All of a body.

    Raises:
        aiohttp.ClientPayloadError: it is longer than `limit` bytes once unpacked.
    """
    parts, size = [], 0
    while part := await content.readany():
        size += len(part)
        if size > limit:
            raise aiohttp.ClientPayloadError(f"the answer is longer than {limit} bytes")
        parts.append(part)
    return b"".join(parts)
