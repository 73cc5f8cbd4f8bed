"""One end of a connection in memory, as asyncio's transports are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sepd.simulation.network import Network

HIGH_WATER = 1 << 16
Factory = Callable[[], asyncio.BaseProtocol]


class Pipe(asyncio.Transport):
    """One end of a connection.

    Attributes:
        owner: the simulated process that this end belongs to.
        peer: the other end.
    """

    peer: Pipe

    def __init__(self, network: Network, owner: str, port: int, *, client: bool = False) -> None:
        super().__init__()
        self.owner = owner
        self.port = port
        self.client = client
        self.dead = False
        self.context: Context = copy_context()
        self._network = network
        self._loop = network.loop
        self._protocol: Any = None
        self._closing = False
        self._lost = False
        self._arrival_s = 0.0
        self._reading = True
        self._unread: list[bytes | None] = []
        self._under_way = 0
        self._full = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Addresses only."""
        if name in {"peername", "sockname"}:
            return ("127.0.0.1", self.port)
        return default

    def is_closing(self) -> bool:
        """Whether this end was closed or lost."""
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who is told what arrives."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told what arrives."""
        return self._protocol  # type: ignore[no-any-return]

    def is_reading(self) -> bool:
        """Whether data are delivered."""
        return self._reading

    def pause_reading(self) -> None:
        """Keep what arrives."""
        self._reading = False

    def resume_reading(self) -> None:
        """Deliver what was kept, and what arrives."""
        self._reading = True
        kept, self._unread = self._unread, []
        for data in kept:
            self._loop.call_soon(self._arrived, data, context=self.context)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The limit is the network's."""

    def get_write_buffer_size(self) -> int:
        """Bytes written and not yet read at the other end."""
        return self._under_way

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; the bytes arrive a little later, or never."""
        if self._closing or not data:
            return
        self._network.on_write(self, bytes(data))
        self._send(bytes(data))
        if self._under_way > HIGH_WATER and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        """Send all in one piece."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Half-closing is not needed here."""
        return False

    def close(self) -> None:
        """Send what was written, then the end."""
        if self._closing:
            return
        self._closing = True
        self._send(None)
        self._loop.call_soon(self._connection_lost, None, context=self.context)

    def abort(self) -> None:
        """Break the connection; the other end sees a reset."""
        if self._lost:
            return
        self._closing = True
        self._loop.call_soon(self._connection_lost, None, context=self.context)
        self._network.after_delay(self, self.peer.reset)

    def reset(self) -> None:
        """The connection broke under this end."""
        self._closing = True
        lost = ConnectionResetError("Connection reset by peer")
        self._loop.call_soon(self._connection_lost, lost, context=self.context)

    def go_dark(self) -> None:
        """From now on nothing arrives at either end, and neither is told."""
        self.dead = self.peer.dead = True

    def begin(self, factory: Factory) -> None:
        """The connection has been accepted."""
        self._protocol = factory()
        self._protocol.connection_made(self)

    def _send(self, data: bytes | None) -> None:
        delay_s = self._network.delay_s(self)
        if delay_s is None:
            return
        self._under_way += len(data or b"")
        self._arrival_s = max(self._arrival_s, self._loop.time() + delay_s)
        self._loop.call_at(self._arrival_s, self.peer._arrived, data, context=self.peer.context)

    def _arrived(self, data: bytes | None) -> None:
        if self._lost or self.dead:
            return
        if not self._reading:
            self._unread.append(data)
            return
        self.peer._read(len(data or b""))
        if data is None:
            if not self._closing and not self._protocol.eof_received():
                self.close()
            return
        self._network.on_arrival(len(data))
        self._protocol.data_received(data)

    def _read(self, count: int) -> None:
        self._under_way -= count
        if self._full and self._under_way <= HIGH_WATER // 4 and not self._lost:
            self._full = False
            self._loop.call_soon(self._protocol.resume_writing, context=self.context)

    def _connection_lost(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._network.pipes.pop(self, None)
            self._protocol.connection_lost(error)
