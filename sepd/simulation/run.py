"""One seed: the daemon, the venue and everything between them, for some virtual minutes."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import aiohttp
import structlog
from msgspec import Struct

from sepd.domain.order import OrderState
from sepd.execution.exits import ExitFile
from sepd.risk.book import REPEATED
from sepd.risk.day import trading_day
from sepd.simulation.evidence import Truth, Violation
from sepd.simulation.faults import Fault, draw, script, scripted
from sepd.simulation.inject import Injector
from sepd.simulation.machine import STOP_S, Machine
from sepd.simulation.market import ACCOUNT, Market
from sepd.simulation.network import NetworkedLoop
from sepd.simulation.options import Options, settings_of
from sepd.simulation.prices import play
from sepd.simulation.process import Process
from sepd.simulation.store import Content, Database, KeptExits
from sepd.simulation.trace import Entry, Trace
from sepd.simulation.watch import Watcher

HEAL_S = 120.0
CALM_S = 15.0
FRESH_MS = 10_000.0
RECONCILED_S = 150.0
_SPARE_S = 2 * HEAL_S + 3 * STOP_S + 60.0
_UNDECIDED = {OrderState.NEW, OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN}
_LATCH = {REPEATED}
_EXECUTION = "sepd.execution."


class Outcome(Struct, frozen=True):
    """What came of a run."""

    seed: int
    faults: dict[str, int]
    violations: tuple[Violation, ...]
    orders: int
    virtual_s: float
    starts: int
    digest: str
    log: tuple[Entry, ...]


def planned(seed: int, options: Options) -> tuple[Fault, ...]:
    """The faults of a run."""
    faults = draw(seed, options.minutes * 60)
    if options.keep is None:
        return faults
    return tuple(fault for number, fault in enumerate(faults) if number in options.keep)


def simulate(seed: int, options: Options) -> Outcome:
    """Run one seed to its end. The same seed and options give the same outcome."""
    loop = NetworkedLoop(random.Random(f"network {seed}"))  # noqa: S311 - repeatable
    world = World(seed, options, loop)
    loop.set_exception_handler(lambda _, __: None)
    loop.on_step = world.watcher.step
    loop.network.on_write = world.watcher.on_write
    loop.network.on_dial = world.watcher.on_dial
    loop.network.on_arrival = world.arrived
    with _quiet(), _failpoints(world.injector.failpoint):
        try:
            loop.run_until_complete(world.run())
        finally:
            loop.on_step = lambda: None
            _end_all(loop)
    return world.outcome()


class World:
    """Everything of one run."""

    def __init__(self, seed: int, options: Options, loop: NetworkedLoop) -> None:
        self._seed = seed
        self._loop = loop
        self._length_s = options.minutes * 60
        self._faults = planned(seed, options)
        tapes = play(options.tapes, self._rng("tape"), self._length_s + _SPARE_S)
        truth = Truth(tapes)
        self._settings = settings_of(seed, tuple(truth.pairs))
        self._trace = Trace(loop.time)
        faults = script(self._faults, tapes[0].start_ns, self._length_s)
        self._market = Market(tapes, loop, faults)
        clock = self._market.conductor.clock
        self._content = Content(trading_day=trading_day, clock=clock)
        self._database = Database(self._content, self._rng("store"))
        self.watcher = Watcher(self._market, self._database, self._settings, truth, self._trace)
        self._ledger = self._market.account.ledger
        self._machine = self._machine_of()
        self.injector = Injector(
            loop, self._machine, self._market, self._database, self._trace, self._machine_of
        )

    async def run(self) -> None:
        """Trade under faults, heal, settle, stop, look at what is left."""
        venue = self._loop.create_task(self._market.run())
        machine = self._loop.create_task(self._machine.run())
        await self.injector.run(self._faults)
        await asyncio.sleep(max(0.0, self._length_s - self._loop.time()))
        self._trace.note("heals")
        await self.injector.heal()
        await self._settle(self._unsettled)
        self._machine.terminate(0.5)
        await self._settle(lambda: self._unsettled() or self._undecided())
        self._machine.rest()
        await machine
        self.watcher.finish()
        venue.cancel()
        await asyncio.wait([venue])

    def arrived(self, number: int) -> None:
        """Bytes have arrived somewhere."""
        self._trace.count("bytes", number)

    def outcome(self) -> Outcome:
        """What came of it."""
        struck = self.injector.struck
        for fault, hits in zip(scripted(self._faults), self._market.plan.hits, strict=True):
            struck[fault.kind] += hits
        return Outcome(
            seed=self._seed,
            faults={kind.value: count for kind, count in sorted(struck.items()) if count},
            violations=tuple(self.watcher.violations),
            orders=self.watcher.orders,
            virtual_s=round(self._loop.time(), 3),
            starts=len(self.watcher.processes),
            digest=self._trace.digest,
            log=tuple(self._trace.entries),
        )

    async def _settle(self, unsettled: Callable[[], str]) -> None:
        """Trade on for a while, until the daemon runs and agrees with the broker."""
        start_s = self._loop.time()
        released = False
        while self._loop.time() < start_s + HEAL_S:
            await asyncio.sleep(0.5)
            if not released and self._recovered():
                self.injector.release_switch()
                released = True
            calm = self._loop.time() >= start_s + CALM_S
            if released and calm and not unsettled() and await self._answers():
                self._trace.note("settled")
                return
        why = unsettled() or "it settled too late"
        self.watcher.violated("ends_running_or_halted", f"{HEAL_S:g} s after the last fault {why}")

    async def _answers(self) -> bool:
        """Whether the daemon's API says that it is ready."""
        process = self._machine.process
        if process is None or process.node is None:
            return False
        url = f"http://127.0.0.1:{process.node.port}/readyz"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status == 200

    def _recovered(self) -> bool:
        process = self._machine.process
        return process is not None and process.alive and process.book is not None

    def _unsettled(self) -> str:
        """What is not as it must be in the end."""
        process = self._machine.process
        node = None if process is None else process.node
        if process is None or not self._recovered() or node is None or node.trading is None:
            return "the daemon does not run"
        status = node.status()
        if status.state not in {"running", "degraded"} or node.health.faults:
            return f"the daemon is {status.state}: {status.last_error}"
        for name, seen in status.instruments.items():
            if seen.stale or seen.last_event_age_ms is None or seen.last_event_age_ms > FRESH_MS:
                return f"the price of {name} is {seen.last_event_age_ms} ms old"
        if self._content.books(ACCOUNT).account.last_transaction_id != self._ledger.last_id:
            return "the store is behind the broker"
        reconciled_ns = node.health.reconciled_ns or 0
        if process.clock.now_ns() - reconciled_ns > RECONCILED_S * 1e9:
            return "store and broker have not been compared for long"
        orders = node.trading.executor.orders
        unknown = [order.intent.id for order in orders if order.state in _UNDECIDED]
        if unknown:
            return f"orders are undecided: {', '.join(unknown)}"
        blocked = [name for name, causes in node.trading.book.blocked.items() if causes - _LATCH]
        return f"entries are blocked: {blocked}" if blocked else ""

    def _undecided(self) -> str:
        """After a recovery, and the quiet window, the store knows of every order."""
        orders = self._content.books(ACCOUNT).orders
        left = [name for name, order in orders.items() if order.state in _UNDECIDED]
        return f"the store does not know of {', '.join(left)}" if left else ""

    def _machine_of(self) -> Machine:
        """A machine for the daemon, or for another one."""
        start = partial(self._process, KeptExits(self.watcher.kept))
        return Machine(start, self._loop, self._trace, self.watcher.violated)

    def _process(self, exits: ExitFile) -> Process:
        process = Process(
            len(self.watcher.processes) + 1,
            self._settings,
            self._database,
            self._loop,
            self._market.origin_ns,
            self._seed,
            self.watcher.switched,
            exits,
        )
        self.watcher.started(process)
        return process

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(f"{purpose} {self._seed}")  # noqa: S311 - repeatable, not secret


@contextmanager
def _failpoints(reached: Callable[[str], None]) -> Iterator[None]:
    """Tell `reached` of every failpoint while the context is open."""
    modules = [
        module
        for name, module in sorted(sys.modules.items())
        if name.startswith(_EXECUTION) and hasattr(module, "failpoint")
    ]
    before = [module.failpoint for module in modules]
    for module in modules:
        module.failpoint = reached  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module, function in zip(modules, before, strict=True):
            module.failpoint = function  # type: ignore[attr-defined]


@contextmanager
def _quiet() -> Iterator[None]:
    """No logs while the context is open: the trace tells what happened."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    server = logging.getLogger("aiohttp.server")
    was_disabled, server.disabled = server.disabled, True
    try:
        yield
    finally:
        structlog.configure(**before)
        server.disabled = was_disabled


def _end_all(loop: NetworkedLoop) -> None:
    """Let every task end, then close the loop."""
    left = asyncio.all_tasks(loop)
    for task in sorted(left, key=hash):
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
