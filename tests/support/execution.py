"""An executor on a broker and a store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sepd.clock import EventClock
from sepd.domain.order import OrderState
from sepd.execution.executor import Executor, Timing
from sepd.execution.machine import Order
from sepd.execution.reconcile import recover
from sepd.risk.book import Book
from tests.support.broker import FakeBroker
from tests.support.store import FaultyStore
from tests.support.trading import EUR_USD, NOON, PAIRS, make_entry, make_signal

FAST = Timing(quiet_window_s=0.01, grace_s=0.005, retry_s=0.001)


class Desk:
    """Broker, store, book and executor, wired; `fresh` keeps broker, store and clock."""

    def __init__(self) -> None:
        self.broker = FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)})
        self.store = FaultyStore()
        self.clock = EventClock(NOON)
        self.fence = ""
        self.seen: list[Order] = []
        self.turned = asyncio.Event()
        self.broker.scanned = self.turned.set
        self.fresh()

    def fresh(self, last_transaction_id: int = 0) -> None:
        self.book = Book("USD", PAIRS)
        self.book.last_transaction_id = last_transaction_id
        self.executor = Executor(
            self.broker,
            self.store,
            self.clock,
            self.book,
            fence=lambda _: self.fence,
            observe=self.observe,
            last_transaction_id=last_transaction_id,
            timing=FAST,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.executor.run())
            yield
            task.cancel()

    async def enter(self, number: int = 1) -> str:
        signal = make_signal(number)
        intent = make_entry(signal, checkpoint=self.executor.last_transaction_id)
        answer = await self.executor.submit(intent, signal, b"{}")
        return answer or intent.id

    def observe(self, order: Order) -> None:
        self.seen.append(order)
        self.turned.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Look at `condition` after every scan and every change of an order."""
        async with asyncio.timeout(5):
            while not condition():
                self.turned.clear()
                await self.turned.wait()

    async def until_held(self, count: int) -> None:
        """Let so many requests hang at the broker."""
        await self.until(lambda: self.broker.held == count)

    def state(self, name: str) -> OrderState:
        return self.store.state(name)

    def orders_at_broker(self, intent_id: str) -> int:
        return sum(
            1
            for row in self.broker.rows
            if getattr(row, "client_order_id", "") == intent_id
            and type(row).__name__ == "OrderAccepted"
        )


async def recovered_desk() -> Desk:
    """A desk after recovery, with no scan counted yet."""
    desk = Desk()
    await recover(desk.broker, desk.store)
    desk.broker.scans = 0
    return desk
