"""A network in memory: seeded delays, cuts, stalls and black holes between two transports.

Connections are made by the names that asyncio uses (`create_server`, `sock_connect`,
`create_connection`), so that unmodified servers and clients run over it. Bytes of one direction
of a connection keep their order; connections overtake each other.
"""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from sepd.simulation.loop import OWNER, VirtualLoop
from sepd.simulation.pipe import Factory, Pipe

_FIRST_PORT = 40_000
_SYN_RETRY_S = 0.5


class Listener(asyncio.AbstractServer):
    """A listening port. `sockets` tells its address, as asyncio's servers do."""

    def __init__(self, network: Network, port: int, factory: Factory) -> None:
        self.port = port
        self.owner = OWNER.get()
        self.factory = factory
        self.context = copy_context()
        self._network = network

    @property
    def sockets(self) -> tuple[Listener, ...]:
        """Itself: it knows its name."""
        return (self,)

    def getsockname(self) -> tuple[str, int]:
        """Host and port."""
        return "127.0.0.1", self.port

    def close(self) -> None:
        """Stop listening."""
        self._network.ports.pop(self.port, None)

    async def wait_closed(self) -> None:
        """Nothing to wait for."""

    def is_serving(self) -> bool:
        """Whether connections are taken."""
        return self.port in self._network.ports

    async def start_serving(self) -> None:
        """It does from the start."""

    async def serve_forever(self) -> None:
        """Serve until cancelled."""
        await asyncio.Event().wait()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it runs on."""
        return self._network.loop


class Weather:
    """What the network does to one port, until the given loop times."""

    def __init__(self) -> None:
        self.refuse_until_s = 0.0
        self.hole_until_s = 0.0
        self.stall_until_s = 0.0


class Network:
    """All connections of one simulation.

    Attributes:
        on_write: told of everything that is written, before it leaves.
        on_dial: told which process connects.
        on_arrival: told how many bytes arrive.
    """

    def __init__(self, loop: VirtualLoop, rng: random.Random, latency_s: float = 0.004) -> None:
        self.loop = loop
        self.ports: dict[int, Listener] = {}
        self.pipes: dict[Pipe, None] = {}
        self.on_write: Callable[[Pipe, bytes], None] = lambda _, __: None
        self.on_dial: Callable[[str], None] = lambda _: None
        self.on_arrival: Callable[[int], None] = lambda _: None
        self._rng = rng
        self._latency_s = latency_s
        self._weather: dict[int, Weather] = {}
        self._next_port = _FIRST_PORT

    def at(self, port: int) -> Weather:
        """What the network does to `port`."""
        return self._weather.setdefault(port, Weather())

    def delay_s(self, pipe: Pipe) -> float | None:
        """How long what `pipe` sends now is under way; None: for ever."""
        if pipe.dead or pipe.peer.dead:
            return None
        stall_s = max(0.0, self.at(pipe.port).stall_until_s - self.loop.time())
        return stall_s + self._latency_s * (0.25 + self._rng.expovariate(1.0))

    def after_delay(self, pipe: Pipe, act: Callable[[], None]) -> None:
        """Do something when a packet sent by `pipe` now would arrive, if it would."""
        delay_s = self.delay_s(pipe)
        if delay_s is not None:
            self.loop.call_later(delay_s, act, context=pipe.peer.context)

    def clients(self, port: int) -> list[Pipe]:
        """The clients' ends of the connections to `port`, oldest first."""
        return [pipe for pipe in self.pipes if pipe.port == port and pipe.client]

    def kill(self, owner: str, *, silently: bool) -> None:
        """A process is gone: nothing leaves or reaches it; unless `silently`, peers see a reset."""
        for listener in [item for item in self.ports.values() if item.owner == owner]:
            listener.close()
        for pipe in [item for item in self.pipes if item.owner == owner]:
            if not silently:
                self.after_delay(pipe, pipe.peer.reset)
            pipe.go_dark()

    def listen(self, port: int, factory: Factory) -> Listener:
        """Open a port; 0 takes the next free one."""
        if not port:
            self._next_port += 1
            port = self._next_port
        if port in self.ports:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        self.ports[port] = listener = Listener(self, port, factory)
        return listener

    async def dial(self, port: int) -> None:
        """Take as long as connecting takes.

        Raises:
            ConnectionRefusedError: nobody listens, or the weather refuses.
        """
        self.on_dial(OWNER.get())
        weather = self.at(port)
        hole_s = weather.hole_until_s - self.loop.time()
        if hole_s > 0:
            await asyncio.sleep(hole_s + _SYN_RETRY_S)
        await asyncio.sleep(self._latency_s * (0.5 + self._rng.expovariate(1.0)))
        if self.loop.time() < weather.refuse_until_s or port not in self.ports:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed to port {port}")

    def join(self, port: int, factory: Factory) -> tuple[Pipe, asyncio.BaseProtocol]:
        """Connect the caller with the listener at `port`.

        Raises:
            ConnectionResetError: the listener went away since it was dialled.
        """
        listener = self.ports.get(port)
        if listener is None:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        near = Pipe(self, OWNER.get(), port, client=True)
        far = listener.context.copy().run(Pipe, self, listener.owner, port)
        near.peer, far.peer = far, near
        self.pipes |= {near: None, far: None}
        protocol = factory()
        near.set_protocol(protocol)
        protocol.connection_made(near)
        self.loop.call_soon(far.begin, listener.factory, context=far.context)
        return near, protocol


class NetworkedLoop(VirtualLoop):
    """A virtual loop whose sockets are pipes of `network`."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.network = Network(self, rng)
        self._dialled: dict[int, int] = {}

    async def create_server(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """Listen in memory; only the port counts."""
        port = options.get("port", args[1] if len(args) > 1 else 0)
        return self.network.listen(int(port or 0), protocol_factory)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Dial; the socket only stands for the connection."""
        await self.network.dial(int(address[1]))
        self._dialled[sock.fileno()] = int(address[1])

    async def create_connection(self, protocol_factory: Any, *_: Any, **options: Any) -> Any:
        """Connect the socket that was dialled."""
        sock: socket.socket = options["sock"]
        port = self._dialled.pop(sock.fileno())
        sock.close()
        return self.network.join(port, protocol_factory)
