"""The daemon as a machine runs it: started, killed anywhere, stopped, started again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from enum import StrEnum

from msgspec import Struct

from sepd.broker.oanda.client import OandaBroker
from sepd.commands import Request
from sepd.errors import ConfigError, InvariantViolated, TransientError
from sepd.execution.exits import ExitFile
from sepd.node import Node
from sepd.outside import Outside
from sepd.risk.book import Book
from sepd.settings import Settings
from sepd.simulation.cache import ForgetfulCache
from sepd.simulation.crash import Crashed
from sepd.simulation.lease import IDLE_S, Lease
from sepd.simulation.loop import OWNER, LoopClock
from sepd.simulation.network import NetworkedLoop
from sepd.simulation.store import Database, StoreLink

SKEW_NS = 6_000_000_000
NOTICE_S = 12.0


class Exit(StrEnum):
    """How a process ended."""

    STOPPED = "stopped"
    KILLED = "killed"
    FAULT = "fault"
    HALTED = "halted"
    MISCONFIGURED = "misconfigured"
    BUG = "bug"


class Ended(Struct, frozen=True):
    """How a process ended, and what it said."""

    how: Exit
    why: str = ""


class Process:
    """One life of the daemon, from start to exit; `run` ends with it.

    Attributes:
        owner: its name among the simulated processes.
        clock: its UTC, which may be off.
        node: the daemon, once its services are open.
        ended: how it ended; None while it lives.
    """

    def __init__(
        self,
        number: int,
        settings: Settings,
        database: Database,
        loop: NetworkedLoop,
        origin_ns: int,
        seed: int,
        on_switch: Callable[[bool], None],
        exits: ExitFile,
    ) -> None:
        self.number = number
        self.owner = f"sepd.{number}"
        self.clock = LoopClock(loop, origin_ns)
        self.cache = ForgetfulCache()
        self.node: Node | None = None
        self.ended: Ended | None = None
        self.stop = asyncio.Event()
        self.started_s = loop.time()
        self._on_switch = on_switch
        self._exits = exits
        self._settings = settings
        self._loop = loop
        self._origin_ns = origin_ns
        self._rng = random.Random(seed * 1_000 + number)  # noqa: S311 - repeatable, not secret
        self._store = StoreLink(database)
        self._lock = database.lock
        self._lease = Lease(self._lock, self.owner)
        self._task: asyncio.Task[None] | None = None
        self._commands: list[asyncio.Task[None]] = []

    @property
    def alive(self) -> bool:
        """Whether it still has any effect."""
        return self.ended is None and not self._store.dead

    def wrong_clock(self, at_ns: int) -> bool:
        """Whether its UTC had been far off at `at_ns` for so long that it must have seen it."""
        off = abs(self.clock.skew_ns) > SKEW_NS
        return off and (at_ns - self._origin_ns) / 1e9 > self.clock.skewed_s + NOTICE_S

    @property
    def book(self) -> Book | None:
        """What the daemon believes to hold; None before it has recovered."""
        node = self.node
        if node is None or node.trading is None or node.health.phase != "running":
            return None
        return node.trading.book

    async def run(self) -> Ended:
        """Start it and wait for its end."""
        context = copy_context()
        context.run(OWNER.set, self.owner)
        self._task = self._loop.create_task(self._live(), context=context)
        try:
            await self._task
        except asyncio.CancelledError:
            if not self._store.dead:
                raise
            self.ended = Ended(Exit.KILLED)
        except BaseException as error:  # noqa: BLE001 - whatever ended the process is looked at
            self.ended = _judged(error)
        else:
            self.ended = Ended(Exit.STOPPED)
        for task in self._commands:
            task.cancel()
        if self._store.dead:
            self.ended = Ended(Exit.KILLED)
        return self.ended

    def pause(self, seconds: float) -> None:
        """SIGSTOP for a while; the database does not wait for long."""
        self._loop.freeze(self.owner)
        self._outside(seconds, self._loop.thaw)
        if seconds > IDLE_S:
            self._outside(IDLE_S, self._lock.end)

    def kill(self, *, silently: bool) -> None:
        """SIGKILL: from this instant on it has no effect on anything.

        Args:
            silently: the machine is gone too, so that peers are not told.
        """
        self._store.dead = self._lease.dead = True
        self._loop.network.kill(self.owner, silently=silently)
        self._outside(IDLE_S if silently else 0.0, self._lock.end)
        for task in (self._task, *self._commands):
            if task is not None:
                task.cancel()

    def switch(self, *, kill: bool) -> None:
        """The operator latches the kill switch, or releases it, and insists until told else."""
        for task in self._commands:
            task.cancel()
        context = copy_context()
        context.run(OWNER.set, self.owner)
        work = self._kill() if kill else self._unkill()
        self._commands.append(self._loop.create_task(work, context=context))

    async def _kill(self) -> None:
        assert self.node is not None
        flatten = self._rng.random() < 0.5
        await self.node.command("kill", Request(reason="simulated", flatten=flatten))
        self._on_switch(True)

    async def _unkill(self) -> None:
        assert self.node is not None
        self._on_switch(False)
        while True:
            try:
                await self.node.command("unkill", Request())
            except TransientError:
                await asyncio.sleep(1.0)
            else:
                return

    def _outside(self, seconds: float, act: Callable[[str], None]) -> None:
        """Let something happen to this process that it does not do itself."""
        self._loop.call_later(seconds, act, self.owner, context=Context())

    def die(self, place: str, *, silently: bool) -> None:
        """SIGKILL by itself, at a failpoint.

        Raises:
            Crashed: always.
        """
        self.kill(silently=silently)
        raise Crashed(place)

    async def _live(self) -> None:
        broker = OandaBroker(self._settings.broker, self.clock, self._rng)
        try:
            outside = Outside(
                broker=broker,
                store=self._store,
                cache=self.cache,
                clock=self.clock,
                timer=self.clock,
                rng=self._rng,
                leader=self._lease,
                exits=self._exits,
                skew_ns=lambda: broker.offset.offset_ns or 0,
            )
            self.node = Node(self._settings, outside)
            await self.node.run(self.stop)
        finally:
            await broker.close()


def _judged(error: BaseException) -> Ended:
    """What service manager and operator would make of the error."""
    leaves = list(_leaves(error))
    if any(isinstance(leaf, Crashed) for leaf in leaves):
        return Ended(Exit.KILLED)
    said = "; ".join(f"{type(leaf).__name__}: {leaf}" for leaf in leaves)
    for kind, how in (
        (ConfigError, Exit.MISCONFIGURED),
        (InvariantViolated, Exit.HALTED),
        (TransientError, Exit.FAULT),
    ):
        if all(isinstance(leaf, kind) for leaf in leaves):
            return Ended(how, said)
    return Ended(Exit.BUG, said)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
