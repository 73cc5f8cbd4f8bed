"""Latency of the order path: from the decision to the request, with the durable commit.

`python -m benchmarks.order_path [--orders 900] [--per-second 100] [--memory]` prints one JSON
object. The database is the embedded PostgreSQL with its durability as shipped; the broker answers
at once, so that only our own time is counted: gate, reservation, queue, commit, checks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import uvloop

from sepd.clock import SystemClock
from sepd.domain.account import AccountEvent
from sepd.domain.order import OrderIntent, Outcome
from sepd.domain.signal import Action
from sepd.execution.executor import Executor
from sepd.execution.intent import entry_intent
from sepd.execution.reconcile import recover
from sepd.ports import Store
from sepd.risk.book import Book
from sepd.risk.day import trading_day
from sepd.risk.gate import Accepted, assess
from sepd.risk.situation import EntryRequest
from sepd.settings import RiskSettings
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.memory import MemoryStore
from sepd.storage.migrate import migrate
from sepd.storage.postgres import PostgresStore
from tests.support.broker import FakeBroker
from tests.support.trading import ACCOUNT, EUR_USD, PAIRS, make_signal, quote

LIMITS = RiskSettings(
    risk_per_trade=Decimal("0.000001"),
    max_positions=10**9,
    max_positions_per_instrument=10**9,
    max_correlated=10**9,
    max_orders_per_minute=1_000,
    max_fills_per_hour=1_000,
    max_daily_loss=Decimal(1),
    max_drawdown=Decimal(1),
    max_gross_leverage=Decimal(10**9),
    max_net_leverage=Decimal(10**9),
    max_currency_leverage=Decimal(10**9),
)


class TimedBroker(FakeBroker):
    """Notes when each request would have been written; each trade is stopped at once."""

    def __init__(self) -> None:
        super().__init__([EUR_USD], {"EUR_USD": (109_990, 110_000)})
        self.sent_ns: dict[str, int] = {}
        self.stream: Callable[[Sequence[AccountEvent]], None] = lambda _: None

    async def place(self, intent: OrderIntent) -> Outcome:
        """Fill, and close the trade, so that the book stays small."""
        self.sent_ns[intent.id] = time.perf_counter_ns()
        first = len(self.rows)
        outcome = await super().place(intent)
        for trade_id in list(self.open_trades):
            self.hit_stop(trade_id)
        self.stream(self.rows[first:])
        return outcome


async def measure(store: Store, orders: int, per_second: float) -> dict[str, object]:
    """Decide and submit `orders` entries at an even pace."""
    broker, clock = TimedBroker(), SystemClock()
    recovery = await recover(broker, store)
    book = Book("USD", PAIRS, LIMITS)
    book.restore(recovery.snapshot, recovery.state, clock.now_ns())
    book.ready = True
    executor = Executor(broker, store, clock, book)
    broker.stream = executor.offer
    decided_ns: dict[str, int] = {}
    judged_ns: list[int] = []
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(executor.run())
        start = loop.time()
        for number in range(orders):
            await asyncio.sleep(max(0.0, start + number / per_second - loop.time()))
            now_ns = clock.now_ns()
            book.observe(quote("EUR_USD", 109_990, 110_000, now_ns))
            signal = make_signal(number, action=Action.BUY, created_ns=now_ns)
            begun = time.perf_counter_ns()
            verdict = assess(EntryRequest(signal, now_ns), book, LIMITS)
            judged_ns.append(time.perf_counter_ns() - begun)
            if not isinstance(verdict, Accepted):
                raise SystemExit(f"order {number} was refused: {verdict.reason}")
            intent = entry_intent(
                ACCOUNT,
                signal,
                units=verdict.units,
                price_bound=verdict.price_bound,
                stop_loss=verdict.stop_loss,
                take_profit=verdict.take_profit,
                now_ns=now_ns,
                checkpoint=executor.last_transaction_id,
            )
            decided_ns[intent.id] = begun
            refused = await executor.submit(intent, signal, verdict.snapshot)
            if refused:
                raise SystemExit(f"order {number} was refused: {refused}")
        elapsed_s = loop.time() - start
        await executor.drain(len(broker.rows))
        running.cancel()
    took = [broker.sent_ns[name] - at for name, at in decided_ns.items()]
    return {
        "orders": orders,
        "orders_per_s": round(orders / elapsed_s, 1),
        "to_request_us": percentiles(took),
        "gate_us": percentiles(judged_ns),
        "settled": len(broker.rows) == executor.last_transaction_id,
    }


def percentiles(values_ns: list[int]) -> dict[str, float]:
    """p50, p99 and the greatest, in microseconds."""
    cuts = statistics.quantiles(values_ns, n=100)
    picked = {"p50": cuts[49], "p99": cuts[98], "max": max(values_ns)}
    return {name: round(value / 1_000, 1) for name, value in picked.items()}


async def main() -> None:
    """Measure with PostgreSQL, or in memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=900)
    parser.add_argument("--per-second", type=float, default=100)
    parser.add_argument("--memory", action="store_true", help="without the durable commit")
    given = parser.parse_args()
    if given.memory:
        memory = MemoryStore(trading_day=trading_day, clock=SystemClock())
        found = await measure(memory, given.orders, given.per_second)
    else:
        with tempfile.TemporaryDirectory() as folder:
            async with EmbeddedPostgres(Path(folder) / "postgres") as server:
                await migrate(server.url)
                store = PostgresStore(
                    server.url, instruments=PAIRS, trading_day=trading_day, clock=SystemClock()
                )
                await store.open()
                found = await measure(store, given.orders, given.per_second)
                await store.close()
    print(json.dumps({"store": "memory" if given.memory else "postgres"} | found))


if __name__ == "__main__":
    uvloop.run(main())
