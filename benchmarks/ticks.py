"""Sustained ticks through the daemon's loop: lag, memory, rows.

`python -m benchmarks.ticks [--per-second 20000] [--seconds 600] [--cache] [--tape FILE]` prints a
line every 30 s to stderr and one JSON object at the end. 28 instruments go through queue, candles,
bit streams, journal and the store's writer into the embedded PostgreSQL; the rule is asked at every
close and never leans. `--cache` adds the Redis server.

The producer is a task of the same process and loop, paced by the clock: what is due is put at once,
every millisecond or later where the loop is held up. It makes each quote anew, from prices that are
held, which costs it under a microsecond a tick of the two cores that all of it shares.

`lag_ms` is from `received_ns`, a quote's acceptance by the queue, to the end of the batch that held
it; `lag_from_due_ms` from the instant at which the clock said that it was due, which counts what a
held-up loop kept from the queue. `slope_mb_h` is the least-squares slope of the resident memory
over the second half. `stalls` are passes of the loop of more than 10 ms. `disk_mb` is what the
server's folder holds at the end. The prices are a tape's, retimed and under 28 names, for timing
only: no decision of a person rests on them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import asyncpg
import numpy as np
import psutil
import uvloop
from numpy.typing import NDArray

from benchmarks.daemon import FINEST, MARKET, Loop, answering, assemble, caching, settings
from benchmarks.market import NAMES, PAIRS, START_NS, Ticker
from sepd.broker.oanda.client import OandaBroker
from sepd.clock import EventClock, SystemClock
from sepd.domain.event import MarketEvent
from sepd.domain.market import Quote
from sepd.execution.executor import Executor
from sepd.feed import EventQueue
from sepd.heap import freeze_heap
from sepd.risk.day import trading_day
from sepd.settings import RuleSettings
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.migrate import migrate
from sepd.storage.postgres import PostgresStore

SAMPLE_S = 30.0
STALL_NS = 10_000_000
BUCKET_NS = 10_000
BUCKETS = 1_000_000  # up to 10 s
RESERVED = RuleSettings(granularities=(FINEST,), polarity_min=Decimal(1), coherence_min=Decimal(1))


class Lag:
    """Durations in buckets of 10 µs: memory does not grow with the run."""

    def __init__(self) -> None:
        self._counts = np.zeros(BUCKETS, np.int64)
        self._greatest_ns = 0

    def add(self, durations_ns: NDArray[np.int64]) -> None:
        """One tick each."""
        places = np.minimum(durations_ns // BUCKET_NS, BUCKETS - 1)
        np.add.at(self._counts, places, 1)
        self._greatest_ns = max(self._greatest_ns, int(durations_ns.max()))

    def report(self) -> dict[str, float]:
        """p50, p99 and the greatest, in milliseconds."""
        reached = np.cumsum(self._counts)
        found = {"max": round(self._greatest_ns / 1e6, 2)}
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            place = int(np.searchsorted(reached, share * reached[-1]))
            found[name] = (place + 1) * BUCKET_NS / 1e6
        return found


class TickQueue(EventQueue):
    """Says of each batch that it has been dealt with."""

    def __init__(self) -> None:
        super().__init__(SystemClock(), MARKET.queue_events)
        self.dealt: Callable[[Sequence[MarketEvent]], None] = lambda _: None
        self._batch: Sequence[MarketEvent] = ()

    async def get_batch(self, maximum: int) -> list[MarketEvent]:
        self._batch = batch = await super().get_batch(maximum)
        return batch

    def processed(self, sequence: int) -> None:
        super().processed(sequence)
        self.dealt(self._batch)


class Run:
    """The producer, and what is seen while it runs."""

    def __init__(self, queue: EventQueue, ticker: Ticker, per_s: float, seconds: float) -> None:
        self.lag, self.from_due = Lag(), Lag()
        self.memory: list[tuple[float, float]] = []
        self.stalls = 0
        self.longest_pass_ms = 0.0
        self._queue = queue
        self._ticker = ticker
        self._tick_ns = 1e9 / per_s
        self._ticks = int(per_s * seconds)
        self._began_ns = 0
        self._done = 0

    async def produce(self) -> None:
        """Put every tick once it is due."""
        self._began_ns = time.monotonic_ns()
        sent, waiting, before_ns = 0, list[Quote](), self._began_ns
        while sent < self._ticks:
            now_ns = time.monotonic_ns()
            self._passed(now_ns - before_ns)
            due = min(self._ticks, int((now_ns - self._began_ns) / self._tick_ns))
            while len(waiting) < due - sent:
                waiting += self._ticker.quotes(1)
            await self._queue.put_many(waiting[: due - sent])
            del waiting[: due - sent]
            sent, before_ns = due, time.monotonic_ns()
            await asyncio.sleep(0.001)

    def _passed(self, duration_ns: int) -> None:
        """The loop has gone round once, a pause of 1 ms included."""
        self.stalls += duration_ns > STALL_NS
        self.longest_pass_ms = max(self.longest_pass_ms, duration_ns / 1e6)

    def dealt(self, batch: Sequence[MarketEvent]) -> None:
        """A batch has been dealt with; what else is on the queue does not count."""
        now_ns = time.monotonic_ns()
        arrived = [event.received_ns for event in batch if type(event.payload) is Quote]
        if not arrived:
            return
        self.lag.add(now_ns - np.array(arrived))
        due_ns = (self._done + np.arange(len(arrived))) * self._tick_ns
        self.from_due.add((now_ns - self._began_ns - due_ns).astype(np.int64))
        self._done += len(arrived)

    async def watch(self) -> None:
        """Note the memory every 30 s, until cancelled."""
        process = psutil.Process()
        while True:
            await asyncio.sleep(SAMPLE_S)
            at_s, rss = (time.monotonic_ns() - self._began_ns) / 1e9, process.memory_info().rss
            self.memory.append((at_s, rss / 2**20))
            print(f"{at_s:4.0f} s {rss / 2**20:7.1f} MB, lag {self.lag.report()}", file=sys.stderr)

    def slope(self) -> float | None:
        """MB an hour over the second half; None for a run too short to tell."""
        half = self.memory[len(self.memory) // 2 :]
        if len(half) < 3:
            return None
        return round(statistics.linear_regression(*zip(*half, strict=True)).slope * 3_600, 2)


async def measure(loop: Loop, queue: TickQueue, given: argparse.Namespace) -> dict[str, object]:
    """Let it run; what was seen."""
    ticker = Ticker(given.tape, FINEST.ns, max(1, given.per_second * 5 // len(NAMES)))
    run = Run(queue, ticker, given.per_second, given.seconds)
    queue.dealt = run.dealt
    async with loop.running(), asyncio.TaskGroup() as group:
        freeze_heap()
        watching = group.create_task(run.watch())
        began, cpu = time.monotonic(), time.process_time()
        await run.produce()
        elapsed_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
        watching.cancel()
    return {
        "ticks": given.per_second * given.seconds,
        "ticks_per_s": round(given.per_second * given.seconds / elapsed_s, 1),
        "cpu_of_this_process": round(cpu_s / elapsed_s, 2),
        "lag_ms": run.lag.report(),
        "lag_from_due_ms": run.from_due.report(),
        "stalls": run.stalls,
        "longest_pass_ms": round(run.longest_pass_ms, 1),
        "conflated": queue.conflated,
        "rss_mb": [round(rss, 1) for _, rss in run.memory],
        "slope_mb_h": run.slope(),
    }


async def database_of(url: str) -> dict[str, object]:
    """Rows and bytes of the database."""
    connection = await asyncpg.connect(url)
    found = {
        "rows_ticks": await connection.fetchval("SELECT count(*) FROM ticks"),
        "rows_candles": await connection.fetchval("SELECT count(*) FROM market_data"),
        "rows_journal": await connection.fetchval("SELECT count(*) FROM journal"),
        "database_mb": await connection.fetchval("SELECT pg_database_size(current_database())")
        // 2**20,
    }
    await connection.close()
    return found


def bytes_in(folder: Path) -> int:
    """What the files of a folder come to."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def run(given: argparse.Namespace, folder: Path) -> dict[str, object]:
    """One run; the report."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(answering())
        cache = await stack.enter_async_context(caching(folder, given.cache))
        broker = OandaBroker(settings(url), EventClock(START_NS), random.Random(1))
        stack.push_async_callback(broker.close)
        server = await stack.enter_async_context(EmbeddedPostgres(folder / "postgres"))
        await migrate(server.url)
        store = PostgresStore(
            server.url, instruments=PAIRS, trading_day=trading_day, clock=SystemClock()
        )
        await store.open()
        stack.push_async_callback(store.close)
        queue = TickQueue()
        loop = await assemble(broker, store, cache, queue, Executor, rule=RESERVED)
        seen = await measure(loop, queue, given)
        written = await asyncio.to_thread(bytes_in, folder)
        return seen | {"disk_mb": written // 2**20} | await database_of(server.url)


async def main() -> None:
    """Run for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-second", type=int, default=20_000)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--cache", action="store_true", help="with the Redis server")
    parser.add_argument("--tape", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(await run(given, Path(folder))))


if __name__ == "__main__":
    uvloop.run(main())
