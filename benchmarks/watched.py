"""The daemon's parts on the order's path, each saying when an order passes."""

from __future__ import annotations

import time
from contextvars import ContextVar

from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from msgspec import Struct

from sepd.broker.oanda import exchange
from sepd.broker.oanda.client import OandaBroker
from sepd.broker.oanda.limits import Throttle
from sepd.domain.event import MarketEvent
from sepd.domain.order import OrderIntent, Outcome
from sepd.domain.signal import Signal
from sepd.execution.executor import Executor
from sepd.execution.ledger import Ledger
from sepd.feed import EventQueue
from sepd.ports import Clock, Store
from sepd.storage.memory import MemoryStore
from sepd.storage.postgres import PostgresStore

_PLACED: ContextVar[str] = ContextVar("placed")


class Marks(Struct):
    """When an order passed each place, `perf_counter_ns`; 0 before it has."""

    taken: int
    submitted: int
    committing: int = 0
    committed: int = 0
    placed: int = 0
    writing: int = 0
    written: int = 0


class Watch:
    """The marks of every order, and when the batch at hand came off the queue."""

    def __init__(self) -> None:
        self.taken = 0
        self.orders: dict[str, Marks] = {}

    def executor(
        self, broker: OandaBroker, store: Store, clock: Clock, ledger: Ledger
    ) -> WatchedExecutor:
        """An executor that is watched."""
        made = WatchedExecutor(broker, store, clock, ledger)
        made.watch = self
        return made

    def stages(self) -> dict[str, list[int]]:
        """Durations by stage, ns, of the orders that were written."""
        done = [m for m in self.orders.values() if m.written]
        return {
            "path": [m.written - m.taken for m in done],
            "decide": [m.submitted - m.taken for m in done],
            "queue": [m.committing - m.submitted for m in done],
            "commit": [m.committed - m.committing for m in done],
            "verify": [m.placed - m.committed for m in done],
            "client": [m.writing - m.placed for m in done],
            "socket": [m.written - m.writing for m in done],
            "without_commit": [m.written - m.taken - m.committed + m.committing for m in done],
        }


class WatchedQueue(EventQueue):
    """Says when a batch has been taken."""

    watch: Watch

    async def get_batch(self, maximum: int) -> list[MarketEvent]:
        batch = await super().get_batch(maximum)
        self.watch.taken = time.perf_counter_ns()
        return batch


class WatchedExecutor(Executor):
    """Says when an intent is submitted."""

    watch: Watch

    async def submit(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> str:
        self.watch.orders[intent.id] = Marks(self.watch.taken, time.perf_counter_ns())
        return await super().submit(intent, signal, snapshot)


class WatchedPostgres(PostgresStore):
    """Says how long a commit takes."""

    watch: Watch

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        marks = self.watch.orders[intent.id]
        marks.committing = time.perf_counter_ns()
        await super().commit_intent(intent, signal, snapshot)
        marks.committed = time.perf_counter_ns()


class WatchedMemory(MemoryStore):
    """Says how long it takes to do what stands in place of the commit."""

    watch: Watch

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        marks = self.watch.orders[intent.id]
        marks.committing = time.perf_counter_ns()
        await super().commit_intent(intent, signal, snapshot)
        marks.committed = time.perf_counter_ns()


class WatchedBroker(OandaBroker):
    """Says when an order comes to the client, and when it has been written."""

    watch: Watch

    async def open(self) -> None:
        await super().open()
        self._channel.rest.requests = Throttle(1_000.0, 100.0)
        write, orders = exchange.hand_over, self.watch.orders

        def watched(connection: Connection, request: bytes) -> ResponseHandler:
            began = time.perf_counter_ns()
            protocol = write(connection, request)
            if marks := orders.get(_PLACED.get("")):
                marks.writing, marks.written = began, time.perf_counter_ns()
            return protocol

        setattr(exchange, "hand_over", watched)  # noqa: B010 - for a function

    async def place(self, intent: OrderIntent) -> Outcome:
        self.watch.orders[intent.id].placed = time.perf_counter_ns()
        _PLACED.set(intent.id)
        return await super().place(intent)
