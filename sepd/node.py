"""One account's trading node: its life from recovery to the last written row.

Start-up is recovery: orders and positions are reconciled with the broker, and only then is
anything traded. The end is in reverse: feeds stop, the queue drains, orders under way are
settled, what is queued is written.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from sepd.api.app import serve
from sepd.api.control import serve_control
from sepd.api.report import Health, Report, starting
from sepd.api.schema import Status
from sepd.bitspace import parameters
from sepd.bitspace.analyser import Analyser
from sepd.commands import Request
from sepd.errors import ConfigError, TransientError
from sepd.execution.reconcile import recover
from sepd.heap import freeze_heap
from sepd.journal import Journal
from sepd.outside import Outside
from sepd.ports import StoredTotals
from sepd.settings import Settings
from sepd.start import new_decider, started_from
from sepd.supervise import Backoff, Notifier, supervise
from sepd.trading import Trading

log = structlog.get_logger(__name__)


class Node:
    """One account, from recovery to the last written row.

    Args:
        control: where the operator's socket is; None: nowhere.

    Attributes:
        serving: set when the API listens, on `port`.
        tape_ended: set when a recorded tape has been played to its end.
        health: what is wrong, and the phase of the node's life.
        trading: what trades; None before recovery is over.
    """

    def __init__(
        self, settings: Settings, outside: Outside, *, control: Path | None = None
    ) -> None:
        self.serving = asyncio.Event()
        self.tape_ended = asyncio.Event()
        self.port = 0
        self.health = Health()
        self.trading: Trading | None = None
        self._settings = settings
        self._outside = outside
        self._control = control
        self._journal = Journal()
        self._notifier = Notifier(outside.timer.monotonic_ns)
        self._started_ns = outside.timer.monotonic_ns()
        self._report: Report | None = None
        self._analyser = self._prove_analyser()

    def status(self) -> Status:
        """The status of this instant."""
        if self._report is None:
            uptime_s = (self._outside.timer.monotonic_ns() - self._started_ns) / 1e9
            return starting(self._settings, self.health, self._analyser.backend, uptime_s)
        return self._report()

    @property
    def decisions_sha256(self) -> str:
        """Hash over every decision so far."""
        return self._journal.fingerprint

    async def totals(self) -> StoredTotals:
        """What the store holds, all that was queued included."""
        return await self._outside.store.totals(self._outside.broker.account_id)

    async def run(self, stop: asyncio.Event) -> None:
        """Lead, recover, trade until `stop` is set, drain."""
        async with AsyncExitStack() as stack:
            self.port = await stack.enter_async_context(serve(self._settings.api, self.status))
            if self._control is not None:
                await stack.enter_async_context(serve_control(self._control, self.command))
            if self._outside.leader is not None:
                stack.push_async_callback(self._outside.leader.release)
            async with asyncio.TaskGroup() as tasks:
                trading = await self._started(tasks, stop)
                if trading is not None:
                    await self._trade(trading, tasks, stop)

    async def command(self, name: str, request: Request) -> object:
        """Carry out an operator's command.

        Raises:
            TransientError: not while the daemon starts or stops.
        """
        if self.health.phase != "running" or self.trading is None:
            raise TransientError(f"The daemon is {self.health.phase}; try again.")
        return await self.trading.operator.run(name, request)

    async def _started(self, tasks: asyncio.TaskGroup, stop: asyncio.Event) -> Trading | None:
        """Lead and recover; None if told to stop before that came about."""
        self.serving.set()
        backoff = Backoff(self._outside.rng)
        recovering = tasks.create_task(
            supervise("start", self._recover, backoff, on_fault=self.health.fault)
        )
        told = tasks.create_task(stop.wait())
        await asyncio.wait({recovering, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if recovering.done():
            return self.trading
        recovering.cancel()
        return None

    async def _trade(self, trading: Trading, tasks: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        freeze_heap()
        trading.start(tasks, self.tape_ended)
        self.health.phase = "running"
        self._notifier.ready()
        log.info("ready", port=self.port, account=self._outside.broker.account_id)
        await stop.wait()
        self.health.phase = "stopping"
        self._notifier.stopping()
        left = await trading.drain()
        if left:
            raise TransientError(f"Stopped before all was done: {' '.join(left)}")

    async def _recover(self) -> None:
        """Start-up is recovery: nothing is traded before broker and store agree."""
        settings, outside = self._settings, self._outside
        if outside.leader is not None:
            outside.store.lead(await outside.leader.acquire())
        await outside.broker.open()
        await self._learn_instruments()
        recovery = await recover(outside.broker, outside.store, outside.exits)
        now_ns, instruments = outside.clock.now_ns(), tuple(outside.instruments.values())
        started = await started_from(
            settings, recovery.snapshot, recovery.state, instruments, outside.store, now_ns
        )
        self._journal.add(started)
        batched = self._analyser.backend != "numpy"
        self.trading = Trading(
            settings,
            outside,
            decider=new_decider(settings, started, self._analyser if batched else None),
            recovery=recovery,
            journal=self._journal,
            health=self.health,
            notifier=self._notifier,
        )
        self._report = self.trading.report(self._analyser, self._started_ns)

    async def _learn_instruments(self) -> None:
        """Ask what the account can trade; all that the settings name must be among it."""
        known = self._outside.instruments
        known.update(await self._outside.broker.instruments())
        missing = [name for name in self._settings.instruments if name not in known]
        if missing:
            raise ConfigError(
                f"instruments: the account cannot trade {', '.join(missing)}; "
                f"it offers {', '.join(sorted(known)[:8])} …"
            )

    def _prove_analyser(self) -> Analyser:
        """The engine, proven on its golden rows; a device fault later on is shown as degraded."""
        bits = self._settings.bitspace
        analyser = Analyser(
            parameters(bits.window, bits.order, iterations=bits.iterations),
            bits.backend,
            self._analyser_failed,
        )
        log.info(
            "analyser", backend=analyser.backend, why=analyser.reason, rows=analyser.proven_rows
        )
        return analyser

    def _analyser_failed(self, reason: str) -> None:
        """The device gave up in mid-batch; the CPU has given the same bits."""
        self.health.fault("analyser", reason)
        log.error("analyser_degraded", reason=reason)
