"""One request on its way: its connection, and what a failure says about whether it left.

A request goes over a kept connection, or over a new one in its turn. aiohttp repeats a GET when a
kept connection turns out to be broken; every try asks the `Connector` for a connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextvars import ContextVar
from types import SimpleNamespace, TracebackType
from typing import Any

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from sepd.broker.oanda.limits import Throttle, Urgency
from sepd.errors import ConfigError, NotSent, OutcomeUnknown, TransientError
from sepd.supervise import being_cancelled

_AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, Any]


class Attempt:
    """One request: what it is, whether it writes, and whether it may have left this machine.

    A `fresh` one takes no kept connection.

    As a context it is the request that this task makes, and turns whatever aiohttp, the socket or
    the deadline raises into sepd's own errors.
    """

    __slots__ = ("connected", "fresh", "may_open", "urgency", "what", "writes")

    def __init__(
        self,
        what: str,
        *,
        writes: bool = False,
        urgency: Urgency = Urgency.READ,
        fresh: bool = False,
    ) -> None:
        self.what = what
        self.writes = writes
        self.urgency = urgency
        self.fresh = fresh
        self.connected = False
        self.may_open = False

    def __enter__(self) -> None:
        _CURRENT.set(self)

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        if error is None:
            return
        if isinstance(error, aiohttp.InvalidURL):
            raise ConfigError(f"{self.what}: {error} is not a URL; see broker.rest_url.") from None
        if isinstance(error, TimeoutError):
            raise self.fault("no answer in time.") from None
        if isinstance(error, aiohttp.ClientError | OSError):
            if being_cancelled():
                raise asyncio.CancelledError from error
            raise self.fault(f"{type(error).__name__}: {error}.") from None

    def fault(self, cause: str) -> Exception:
        """The error, by reaction, of a failure that is not an answer."""
        if not self.connected:
            return NotSent(f"{self.what}: no connection to the broker: {cause}")
        if self.writes:
            return OutcomeUnknown(f"{self.what}: sent, but without an answer: {cause}")
        return TransientError(f"{self.what}: {cause}")


_CURRENT: ContextVar[Attempt] = ContextVar("attempt")


class Connector(aiohttp.TCPConnector):
    """Connections for `Attempt`s: kept ones first; new ones in turn, the most urgent's first.

    Who finds none kept gets a new one: the pool grows to as many as were ever wanted at once.
    """

    def __init__(self, turns: Throttle, **options: Any) -> None:
        super().__init__(socket_factory=_make_socket, **options)
        self._turns = turns
        self._opening = aiohttp.TraceConfig()
        self._opening.on_connection_create_start.append(self._turn)
        self._opening.freeze()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """A connection for the request at hand, which may leave from here on."""
        connection = await self.kept(req.connection_key)
        if connection is None:
            connection = await self._make(req, traces, timeout)
            _CURRENT.get().connected = True
        return connection

    async def kept(self, key: ConnectionKey) -> Connection | None:
        """A kept connection for the request at hand, if there is one; never waits.

        One on which something came unasked is closed: it would be taken for the answer.
        """
        while (connection := await self._get(key, [])) is not None:
            if _is_quiet(connection):
                _CURRENT.get().connected = True
                return connection
            connection.close()
        return None

    def look(self, key: ConnectionKey) -> None:
        """Take a kept connection and put it back, in its place and not as if it had been used."""
        first = next(iter(self._conns.get(key, ())), None)
        connection = _at_once(self.kept(key))
        if connection is None:
            return
        connection.release()
        kept = self._conns[key]
        if first is not None and kept and kept[-1][0] is first[0]:
            kept.pop()
            kept.appendleft(first)

    def idle(self, key: ConnectionKey) -> int:
        """How many connections are kept and free; a closed one counts until its turn comes."""
        return len(self._conns.get(key, ()))

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        return None if _CURRENT.get().fresh else await super()._get(key, traces)

    async def _make(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """A new connection, in its turn; the address is looked up before."""
        try:
            connection = await super().connect(req, traces, timeout)
        except aiohttp.ClientConnectorDNSError:
            raise
        except aiohttp.ClientConnectorError:
            attempt, opening = _CURRENT.get(), Trace(req.session, self._opening, SimpleNamespace())
            try:
                connection = await super().connect(req, [*traces, opening], timeout)
            finally:
                attempt.may_open = False
        if not _is_quiet(connection):
            connection.close()
            raise aiohttp.ClientConnectionError("the new connection is of no use")
        return connection

    async def _turn(self, *_: object) -> None:
        attempt = _CURRENT.get()
        await self._turns.acquire(attempt.urgency)
        attempt.may_open = True


def _at_once[T](work: Coroutine[None, None, T]) -> T:
    """The result of a coroutine that does not wait."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("It waits, and was said not to.")


def _is_quiet(connection: Connection) -> bool:
    """Whether it is open and nothing lies in it."""
    protocol = connection.protocol
    return protocol is not None and protocol.is_connected() and not protocol.should_close


def _make_socket(info: _AddressInfo) -> socket.socket:
    """A socket for an attempt whose turn it is to open a connection."""
    if not _CURRENT.get().may_open:
        raise OSError("no kept connection, and not yet the turn of a new one")
    family, kind, protocol, *_ = info
    return socket.socket(family, kind, protocol)
