"""One account's trading node: its life from recovery to the last written row.

Start-up is recovery: orders and positions are reconciled with the broker, and only then is
anything traded. The end is in reverse: feeds stop, the queue drains, orders under way are
settled, what is queued is written.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from msgspec import to_builtins

from sepd.api.app import serve
from sepd.api.control import serve_control
from sepd.api.operator import Operator
from sepd.api.report import Health, Report, starting
from sepd.api.schema import OrderCounts, Status
from sepd.awake import stay_awake
from sepd.bitspace import parameters
from sepd.bitspace.analyser import Analyser
from sepd.clock import EventClock
from sepd.commands import Request
from sepd.decide import Decider
from sepd.domain.market import Instrument
from sepd.domain.order import OrderIntent
from sepd.errors import ConfigError, TransientError
from sepd.execution.executor import Executor
from sepd.execution.exits import ExitFile
from sepd.execution.operator import Desk, stand_down
from sepd.execution.outcomes import FILLED, Outcomes
from sepd.execution.reconcile import Recovery, quarantine, recover
from sepd.feed import CloseFeed, EventQueue, PriceFeed, Staleness, TransactionFeed
from sepd.heap import freeze_heap
from sepd.journal import Journal, JournaledLedger
from sepd.monitor import Monitor
from sepd.pipeline import Pipeline
from sepd.ports import Broker, Cache, Clock, Leader, Store, StoredTotals
from sepd.settings import Settings
from sepd.start import new_decider, started_from
from sepd.supervise import Backoff, Notifier, supervise

log = structlog.get_logger(__name__)

Task = asyncio.Task[None]
SETTLE_S = 11.0  # longer than a request to the broker lasts
WRITE_S = 4.0
RETRY_S = 0.25
WATCHDOG_S = 1.0
FEED_DELAY_S = 1.0  # with the silence of 8 s: a broker that is back is heard within ten


class Node:
    """One account, from recovery to the last written row; its services are open.

    Args:
        clock: time of decisions; stands at the newest broker time where a tape is played.
        timer: real time, for latencies and uptime only.
        paced: the venue waits for us, so nothing may depend on speed.
        instruments: filled with what the broker trades, for the store to know.
        skew_ns: broker time minus local time, as last measured.
        leader: the right to send; None where nobody else can (a demo's own venue).
        control: where the operator's socket is; None: nowhere.
        exits: keeps exits while the store is away.

    Attributes:
        serving: set when the API listens, on `port`.
        tape_ended: set when a recorded tape has been played to its end.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        broker: Broker,
        store: Store,
        cache: Cache,
        clock: Clock,
        timer: Clock,
        rng: random.Random,
        instruments: dict[str, Instrument] | None = None,
        paced: bool = False,
        skew_ns: Callable[[], int] = lambda: 0,
        leader: Leader | None = None,
        control: Path | None = None,
        exits: ExitFile | None = None,
    ) -> None:
        self.serving = asyncio.Event()
        self.tape_ended = asyncio.Event()
        self.port = 0
        self._settings = settings
        self._broker = broker
        self._store = store
        self._cache = cache
        self._clock = clock
        self._timer = timer
        self._rng = rng
        self._paced = paced
        self._known = {} if instruments is None else instruments
        self._skew_ns = skew_ns
        self._leader = leader
        self._control = control
        self._exits = exits
        self._journal = Journal()
        self._health = Health()
        self._outcomes = Outcomes()
        self._notifier = Notifier(timer.monotonic_ns)
        self._started_ns = timer.monotonic_ns()
        self._report: Report | None = None
        self._analyser = self._prove_analyser()

    def status(self) -> Status:
        """The status of this instant."""
        if self._report is None:
            uptime_s = (self._timer.monotonic_ns() - self._started_ns) / 1e9
            return starting(self._settings, self._health, self._analyser.backend, uptime_s)
        return self._report()

    @property
    def decisions_sha256(self) -> str:
        """Hash over every decision so far."""
        return self._journal.fingerprint

    async def totals(self) -> StoredTotals:
        """What the store holds, all that was queued included."""
        return await self._store.totals(self._broker.account_id)

    async def run(self, stop: asyncio.Event) -> None:
        """Lead, recover, trade until `stop` is set, drain."""
        async with AsyncExitStack() as stack:
            self.port = await stack.enter_async_context(serve(self._settings.api, self.status))
            if self._control is not None:
                await stack.enter_async_context(serve_control(self._control, self.command))
            if self._leader is not None:
                stack.push_async_callback(self._leader.release)
            async with asyncio.TaskGroup() as tasks:
                if await self._started(tasks, stop):
                    await self._trade(tasks, stop)

    async def command(self, name: str, request: Request) -> object:
        """Carry out an operator's command.

        Raises:
            TransientError: not while the daemon starts or stops.
        """
        if self._health.phase != "running":
            raise TransientError(f"The daemon is {self._health.phase}; try again.")
        return await self._operator.run(name, request)

    async def _started(self, tasks: asyncio.TaskGroup, stop: asyncio.Event) -> bool:
        """Lead and recover; False if told to stop before that came about."""
        self.serving.set()
        backoff = Backoff(self._rng)
        recovering = tasks.create_task(
            supervise("start", self._recover, backoff, on_fault=self._health.fault)
        )
        told = tasks.create_task(stop.wait())
        await asyncio.wait({recovering, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if recovering.done():
            return True
        recovering.cancel()
        return False

    async def _trade(self, tasks: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        freeze_heap()
        services, consumer, feeds = self._start(tasks)
        self._health.phase = "running"
        self._notifier.ready()
        log.info("ready", port=self.port, account=self._broker.account_id)
        await stop.wait()
        self._health.phase = "stopping"
        self._notifier.stopping()
        left = await self._drain(feeds)
        for task in (*services, consumer):
            task.cancel()
        if left:
            raise TransientError(f"Stopped before all was done: {' '.join(left)}")

    async def _recover(self) -> None:
        """Start-up is recovery: nothing is traded before broker and store agree."""
        if self._leader is not None:
            self._store.lead(await self._leader.acquire())
        await self._broker.open()
        self._known.update(await self._broker.instruments())
        known = self._known
        missing = [name for name in self._settings.instruments if name not in known]
        if missing:
            raise ConfigError(
                f"instruments: the account cannot trade {', '.join(missing)}; "
                f"it offers {', '.join(sorted(known)[:8])} …"
            )
        recovery = await recover(self._broker, self._store, self._exits)
        now_ns, instruments = self._clock.now_ns(), tuple(known.values())
        started = await started_from(
            self._settings, recovery.snapshot, recovery.state, instruments, self._store, now_ns
        )
        self._journal.add(started)
        batched = self._analyser.backend != "numpy"
        decider = new_decider(self._settings, started, self._analyser if batched else None)
        self._book = decider.book
        ledger = self._ledger = JournaledLedger(self._book, self._journal)
        quarantine(ledger, recovery.differences)
        for difference in recovery.differences:
            log.warning("difference", **to_builtins(difference))
        executor = Executor(
            self._broker,
            self._store,
            self._clock,
            ledger,
            fence=self._fence,
            observe=self._outcomes,
            exits=self._exits,
            last_transaction_id=recovery.snapshot.last_transaction_id,
            workers=1 if self._paced else 8,
        )
        executor.adopt(recovery.orders)
        self._assemble(decider, executor, recovery)

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
        self._health.fault("analyser", reason)
        log.error("analyser_degraded", reason=reason)

    def _assemble(self, decider: Decider, executor: Executor, recovery: Recovery) -> None:
        settings = self._settings
        self._executor, self._recovery = executor, recovery
        self._health.reconciled_ns = self._clock.now_ns()
        self._queue = EventQueue(self._timer, settings.market.queue_events, paced=self._paced)
        self._staleness = Staleness(self._timer, settings.instruments, settings.broker.silence_s)
        self._pipeline = Pipeline(
            queue=self._queue,
            decider=decider,
            executor=executor,
            journal=self._journal,
            store=self._store,
            cache=self._cache,
            clock=self._clock,
            stale=self._staleness.stale,
            skew_ns=self._skew_ns,
            on_time=self._on_time,
            on_progress=lambda events: self._notifier.progress(f"{events} events"),
            timer=self._timer,
            paced=self._paced,
        )
        self._monitor = Monitor(self._store, self._cache, self._ledger, self._health, self._clock)
        desk = self._desk = Desk(self._broker, self._store, executor, self._ledger, self._clock)
        self._operator = Operator(desk, self._pipeline, decider.book)
        self._report = Report(
            settings=settings,
            health=self._health,
            queue=self._queue,
            pipeline=self._pipeline,
            views=decider.views,
            book=decider.book,
            executor=executor,
            staleness=self._staleness,
            outcomes=self._order_counts,
            backend=lambda: self._analyser.backend,
            currency=recovery.snapshot.currency,
            clock=self._clock,
            timer=self._timer,
            started_ns=self._started_ns,
        )

    def _fence(self, intent: OrderIntent) -> str:
        """Why nothing may be sent right now: another leads, or we cannot tell."""
        return "" if self._leader is None else self._leader.fence(intent)

    def _on_time(self, now_ns: int) -> None:
        if isinstance(self._clock, EventClock):
            self._clock.advance(now_ns)

    def _order_counts(self) -> OrderCounts:
        tally = self._pipeline.tally
        return OrderCounts(
            total=tally.orders,
            filled=self._outcomes.filled,
            refused=dict(tally.refused + self._outcomes.refused),
            open=sum(order.state not in FILLED for order in self._executor.orders),
        )

    def _start(self, tasks: asyncio.TaskGroup) -> tuple[list[Task], Task, list[Task]]:
        """Start everything; services outlive the consumer, and the consumer the feeds."""
        services = [
            tasks.create_task(self._store.run(), name="store"),
            tasks.create_task(self._cache.run(), name="cache"),
            tasks.create_task(self._executor.run(), name="executor"),
            tasks.create_task(self._monitor.watch_services(), name="services"),
            tasks.create_task(self._feed_watchdog(), name="watchdog"),
        ]
        if self._book.killed:
            tasks.create_task(stand_down(self._desk, flatten=False), name="stand_down")
        if self._leader is not None:
            services.append(tasks.create_task(self._leader.run(), name="leader"))
        if not self._paced:
            known = self._recovery.differences
            watching = self._monitor.watch_account(self._broker, self._executor, known, self._exits)
            services.append(tasks.create_task(watching, name="reconcile"))
        batch = self._settings.market.batch_events
        consumer = tasks.create_task(self._pipeline.run(batch), name="consumer")
        services.append(tasks.create_task(self._pipeline.keep_journal(), name="journal"))
        cpu = self._settings.process.awake_on
        if cpu >= 0:
            awake = stay_awake(cpu, self._pipeline.rehearse, self._store.rehearse)
            services.append(tasks.create_task(awake, name="awake"))
        last_id = self._executor.last_transaction_id
        transactions = TransactionFeed(self._broker, self._queue, last_id)
        prices = PriceFeed(
            self._broker,
            self._queue,
            self._settings.instruments,
            transactions=transactions,
            staleness=self._staleness,
            base=self._settings.market.base,
        )
        feeds = [
            tasks.create_task(self._supervise("transactions", transactions.run)),
            tasks.create_task(self._supervise("prices", prices.run, self.tape_ended)),
        ]
        if not self._paced:
            closes = CloseFeed(
                self._broker,
                self._queue,
                self._settings.instruments,
                self._settings.market.base,
                self._clock,
                offset_ns=self._skew_ns,
            )
            feeds.append(tasks.create_task(self._supervise("closes", closes.run)))
        return services, consumer, feeds

    async def _feed_watchdog(self) -> None:
        """A consumer for whom nothing waits is alive: a silent broker is no cause to restart."""
        while True:
            await asyncio.sleep(WATCHDOG_S)
            if self._queue.idle:
                self._notifier.progress("idle")

    async def _supervise(
        self, name: str, run: Callable[[], Awaitable[None]], done: asyncio.Event | None = None
    ) -> None:
        backoff = Backoff(self._rng, last_s=FEED_DELAY_S)
        await supervise(name, run, backoff, on_fault=self._health.fault)
        if done is not None:
            done.set()

    async def _drain(self, feeds: Sequence[Task]) -> list[str]:
        """Stop the feeds, deal with what has arrived, settle what was sent, write it all.

        Returns:
            What could not be done in time, as sentences.
        """
        for feed in feeds:
            feed.cancel()
        left = []
        try:
            async with asyncio.timeout(SETTLE_S):
                await self._queue.wait_processed(self._queue.last_sequence)
                await self._executor.drain()
        except TimeoutError:
            applied = self._executor.last_transaction_id
            left.append(
                f"{self._queue.depth} events, and what the account did after transaction"
                f" {applied}, are left to the next start."
            )
        try:
            async with asyncio.timeout(WRITE_S):
                await self._pipeline.write_journal()
                await self._write_all()
        except TimeoutError:
            left.append(f"Rows are not written: {self._store.fault or 'the store is slow.'}")
        for sentence in left:
            log.error("not_drained", reason=sentence)
        return left

    async def _write_all(self) -> None:
        """Return when all that is queued is committed, however often that takes a new attempt."""
        while True:
            try:
                return await self._store.flush()
            except TransientError:
                await asyncio.sleep(RETRY_S)
