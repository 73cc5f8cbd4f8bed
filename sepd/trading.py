"""What trades once recovery is over: its parts put together, and the tasks they run as."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from msgspec import to_builtins

from sepd.api.operator import Operator
from sepd.api.report import Health, Report
from sepd.awake import stay_awake
from sepd.bitspace.analyser import Analyser
from sepd.clock import EventClock
from sepd.decide import Decider
from sepd.domain.order import OrderIntent
from sepd.drain import drain
from sepd.execution.executor import Executor
from sepd.execution.operator import Desk, stand_down
from sepd.execution.outcomes import Outcomes
from sepd.execution.reconcile import Recovery, quarantine
from sepd.feed import CloseFeed, EventQueue, PriceFeed, Staleness, TransactionFeed
from sepd.journal import Journal, JournaledLedger
from sepd.monitor import Monitor
from sepd.outside import Outside
from sepd.pipeline import Pipeline
from sepd.settings import Settings
from sepd.supervise import Backoff, Notifier, supervise

log = structlog.get_logger(__name__)

Task = asyncio.Task[None]
WATCHDOG_S = 1.0
FEED_DELAY_S = 1.0  # with the silence of 8 s: a broker that is back is heard within ten


class Trading:
    """One node's trading, from what recovery found: started once, drained at the end.

    Attributes:
        book: what the account holds, as far as we know, and what is blocked.
        executor: carries out orders.
        operator: carries out an operator's commands.
    """

    def __init__(
        self,
        settings: Settings,
        outside: Outside,
        *,
        decider: Decider,
        recovery: Recovery,
        journal: Journal,
        health: Health,
        notifier: Notifier,
    ) -> None:
        broker, store, cache, clock = outside.broker, outside.store, outside.cache, outside.clock
        self._settings = settings
        self._outside = outside
        self._decider = decider
        self._recovery = recovery
        self._health = health
        self._notifier = notifier
        self._outcomes = Outcomes()
        self._services: list[Task] = []
        self._feeds: list[Task] = []
        self.book = decider.book
        self._ledger = JournaledLedger(self.book, journal)
        self.executor = self._new_executor()
        self._queue = EventQueue(outside.timer, settings.market.queue_events, paced=outside.paced)
        self._staleness = Staleness(outside.timer, settings.instruments, settings.broker.silence_s)
        self._pipeline = self._new_pipeline(journal)
        self._monitor = Monitor(store, cache, self._ledger, health, clock)
        self._desk = Desk(broker, store, self.executor, self._ledger, clock)
        self.operator = Operator(self._desk, self._pipeline, self.book)
        health.reconciled_ns = clock.now_ns()

    def _new_executor(self) -> Executor:
        """The executor of what recovery left: differences are blocked, orders are adopted."""
        outside, recovery = self._outside, self._recovery
        quarantine(self._ledger, recovery.differences)
        for difference in recovery.differences:
            log.warning("difference", **to_builtins(difference))
        executor = Executor(
            outside.broker,
            outside.store,
            outside.clock,
            self._ledger,
            fence=self._fence,
            observe=self._outcomes,
            exits=outside.exits,
            last_transaction_id=recovery.snapshot.last_transaction_id,
            workers=1 if outside.paced else 8,
        )
        executor.adopt(recovery.orders)
        return executor

    def _new_pipeline(self, journal: Journal) -> Pipeline:
        outside = self._outside
        return Pipeline(
            queue=self._queue,
            decider=self._decider,
            executor=self.executor,
            journal=journal,
            store=outside.store,
            cache=outside.cache,
            clock=outside.clock,
            stale=self._staleness.stale,
            skew_ns=outside.skew_ns,
            on_time=self._on_time,
            on_progress=lambda events: self._notifier.progress(f"{events} events"),
            timer=outside.timer,
            paced=outside.paced,
        )

    def report(self, analyser: Analyser, started_ns: int) -> Report:
        """The status of all this.

        Args:
            started_ns: when the process began, on the timer.
        """
        return Report(
            settings=self._settings,
            health=self._health,
            queue=self._queue,
            pipeline=self._pipeline,
            views=self._decider.views,
            book=self.book,
            executor=self.executor,
            staleness=self._staleness,
            outcomes=self._outcomes,
            analyser=analyser,
            currency=self._recovery.snapshot.currency,
            clock=self._outside.clock,
            timer=self._outside.timer,
            started_ns=started_ns,
        )

    def start(self, tasks: asyncio.TaskGroup, tape_ended: asyncio.Event) -> None:
        """Start everything; `tape_ended` is set when there are no more prices."""
        self._start_services(tasks)
        self._start_consumer(tasks)
        self._start_feeds(tasks, tape_ended)

    async def drain(self) -> list[str]:
        """Stop the feeds, drain, stop the rest.

        Returns:
            What could not be done in time, as sentences.
        """
        for feed in self._feeds:
            feed.cancel()
        left = await drain(self._queue, self.executor, self._pipeline, self._outside.store)
        for service in self._services:
            service.cancel()
        return left

    def _start_services(self, tasks: asyncio.TaskGroup) -> None:
        outside = self._outside
        self._services += [
            tasks.create_task(outside.store.run(), name="store"),
            tasks.create_task(outside.cache.run(), name="cache"),
            tasks.create_task(self.executor.run(), name="executor"),
            tasks.create_task(self._monitor.watch_services(), name="services"),
            tasks.create_task(self._feed_watchdog(), name="watchdog"),
        ]
        if self.book.killed:
            tasks.create_task(stand_down(self._desk, flatten=False), name="stand_down")
        if outside.leader is not None:
            self._services.append(tasks.create_task(outside.leader.run(), name="leader"))
        if not outside.paced:
            watching = self._monitor.watch_account(
                outside.broker, self.executor, self._recovery.differences, outside.exits
            )
            self._services.append(tasks.create_task(watching, name="reconcile"))
            connected = outside.broker.stay_connected()
            self._services.append(tasks.create_task(connected, name="connections"))

    def _start_consumer(self, tasks: asyncio.TaskGroup) -> None:
        consuming = self._pipeline.run(self._settings.market.batch_events)
        self._services += [
            tasks.create_task(consuming, name="consumer"),
            tasks.create_task(self._pipeline.keep_journal(), name="journal"),
        ]
        cpu = self._settings.process.awake_on
        if cpu >= 0:
            rehearse, folder = self._pipeline.rehearse, self._settings.data_dir
            awake = stay_awake(cpu, rehearse, self._outside.store.rehearse, folder)
            self._services.append(tasks.create_task(awake, name="awake"))

    def _start_feeds(self, tasks: asyncio.TaskGroup, tape_ended: asyncio.Event) -> None:
        outside, names = self._outside, self._settings.instruments
        broker, base = outside.broker, self._settings.market.base
        last_id = self.executor.last_transaction_id
        transactions = TransactionFeed(broker, self._queue, last_id)
        prices = PriceFeed(
            broker,
            self._queue,
            names,
            transactions=transactions,
            staleness=self._staleness,
            base=base,
        )
        self._feeds += [
            tasks.create_task(self._supervise("transactions", transactions.run)),
            tasks.create_task(self._supervise("prices", prices.run, tape_ended)),
        ]
        if not outside.paced:
            closes = CloseFeed(
                broker, self._queue, names, base, outside.clock, offset_ns=outside.skew_ns
            )
            self._feeds.append(tasks.create_task(self._supervise("closes", closes.run)))

    async def _supervise(
        self, name: str, run: Callable[[], Awaitable[None]], done: asyncio.Event | None = None
    ) -> None:
        backoff = Backoff(self._outside.rng, last_s=FEED_DELAY_S)
        await supervise(name, run, backoff, on_fault=self._health.fault)
        if done is not None:
            done.set()

    async def _feed_watchdog(self) -> None:
        """A consumer for whom nothing waits is alive: a silent broker is no cause to restart."""
        while True:
            await asyncio.sleep(WATCHDOG_S)
            if self._queue.idle:
                self._notifier.progress("idle")

    def _fence(self, intent: OrderIntent) -> str:
        """Why nothing may be sent right now: another leads, or we cannot tell."""
        leader = self._outside.leader
        return "" if leader is None else leader.fence(intent)

    def _on_time(self, now_ns: int) -> None:
        if isinstance(self._outside.clock, EventClock):
            self._outside.clock.advance(now_ns)
