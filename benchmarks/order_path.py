"""Latency of the order path: from a tick off the queue to the order's bytes on the socket.

`python -m benchmarks.order_path [--orders 900] [--memory] [--cache] [--tape FILE]` prints one JSON
object. 28 instruments are quoted 1,000 times a second in all; 100 candles a second close, and each
asks the rule, whose thresholds are set so low that it always leans: 100 entries a second. All of it
is the daemon's own: queue, pipeline, decider, book, executor, store and client; only the clock of
decisions stands at the quotes' times, which run eighteen times as fast as the wall's. The broker is
`benchmarks.answering` in a process of its own, over a loopback socket; the database is the embedded
PostgreSQL, durable as shipped; `--memory` leaves it out, `--cache` adds the Redis server.

An order's time begins when `get_batch` has returned the batch that holds the tick that closed the
candle, and ends when the client's `hand_over` returns: headers and body, one piece, have been
handed to the transport, which tries the system call at once. Its stages: `decide` to the intent's
submission, `queue` to the store, `commit`, `verify` to the client, `client` to that call, `socket`
the call itself; `without_commit` is the path less the commit. The client's throttle, 95 requests a
second where OANDA allows 120, is opened for the run, and its connections, two new ones a second,
are opened before it. `bare_commit_us` is one row committed by the bare driver, 100 times a second,
right before and right after; `bare_commit_in_a_row_us` is the same without a pause. `held_up` says,
before and after, what the machine takes of whatever runs on it: how often in a second a loop that
only reads the clock lost more than 30 µs, how many milliseconds that made, and how often it read in
a microsecond. `--realtime` (root) gives us and our servers real-time priority, for machines that
are busy with other work.

The prices are a tape's, retimed and under 28 names, for timing only: no decision of a person rests
on them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path

import asyncpg
import psutil
import uvloop

from benchmarks.daemon import FINEST, MARKET, Loop, answering, assemble, caching, settings
from benchmarks.market import PAIRS, START_NS, Ticker, feed
from benchmarks.watched import Watch, WatchedBroker, WatchedMemory, WatchedPostgres, WatchedQueue
from sepd.awake import keep_to, stay_awake
from sepd.clock import EventClock, SystemClock
from sepd.heap import freeze_heap
from sepd.risk.day import trading_day
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.migrate import migrate

TICKS_PER_S = 1_000.0
TICKS_PER_CANDLE = 10
PAUSE_NS = 30_000
WARM_ROUNDS = 85 * TICKS_PER_CANDLE  # a reading is valid after 64 candles, damped after 80


async def measure(loop: Loop, tape: Path | None, orders: int) -> float:
    """Warm up, then let `orders` candles close; seconds that took."""
    ticker = Ticker(tape, FINEST.ns, TICKS_PER_CANDLE)
    async with loop.running():
        loop.pipeline.paused = True
        for _ in range(WARM_ROUNDS):
            await loop.queue.wait_processed(await loop.queue.put_many(ticker.quotes(1)))
        loop.pipeline.paused = False
        freeze_heap()
        began = time.perf_counter()
        await feed(loop.queue, ticker, TICKS_PER_S, orders * TICKS_PER_CANDLE)
        return time.perf_counter() - began


async def bare_commits(url: str, count: int, pause_s: float) -> list[int]:
    """Durations, ns, of a one-row commit by the bare driver; one begins every `pause_s`."""
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE IF NOT EXISTS bare (n bigint)")
    insert = await connection.prepare("INSERT INTO bare VALUES ($1)")
    loop = asyncio.get_running_loop()
    began, taken = loop.time(), []
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number * pause_s - loop.time()))
        at = time.perf_counter_ns()
        await insert.fetch(number)
        taken.append(time.perf_counter_ns() - at)
    await connection.close()
    return taken


def held_up(cpu: int, seconds: float = 1.0) -> dict[str, float]:
    """Pauses of more than 30 µs of a loop that only reads the clock, per second."""
    pauses, reads, last = list[int](), 0, time.perf_counter_ns()
    end = last + round(seconds * 1e9)
    with keep_to(cpu) if cpu >= 0 else nullcontext():
        while last < end:
            now, reads = time.perf_counter_ns(), reads + 1
            if now - last > PAUSE_NS:
                pauses.append(now - last)
            last = now
    return {
        "times_per_s": round(len(pauses) / seconds, 1),
        "ms_per_s": round(sum(pauses) / 1e6 / seconds, 1),
        "reads_per_us": round(reads / 1e6 / seconds, 2),
    }


def nothing() -> bool:
    """No decision to rehearse."""
    return True


async def pause() -> None:
    """No commit to rehearse."""


@asynccontextmanager
async def awake(cpu: int, folder: Path, loop: Loop | None = None) -> AsyncIterator[None]:
    """As with `process.awake_on`; without a loop to rehearse, only awake."""
    async with asyncio.TaskGroup() as group:
        decide, commit = (
            (nothing, pause) if loop is None else (loop.pipeline.rehearse, loop.store.rehearse)
        )
        tasks = [group.create_task(stay_awake(cpu, decide, commit, folder))] if cpu >= 0 else []
        yield
        for task in tasks:
            task.cancel()


def undisturbed(*servers: int) -> None:
    """Real-time priority for this process, its children and `servers` with theirs, till the end."""
    roots = [psutil.Process(number) for number in (os.getpid(), *servers)]
    for process in [one for root in roots for one in (root, *root.children(recursive=True))]:
        os.sched_setscheduler(process.pid, os.SCHED_FIFO, os.sched_param(5))


def percentiles(values_ns: Sequence[int]) -> dict[str, float]:
    """p50, p99 and the greatest, in microseconds."""
    cuts = statistics.quantiles(values_ns, n=100)
    picked = {"p50": cuts[49], "p99": cuts[98], "max": max(values_ns)}
    return {name: round(value / 1_000, 1) for name, value in picked.items()}


async def run(given: argparse.Namespace, folder: Path) -> dict[str, object]:
    """One run; the report."""
    watch, bare, in_a_row = Watch(), list[int](), list[int]()
    before = held_up(given.awake)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(answering())
        cache = await stack.enter_async_context(caching(folder, given.cache))
        broker = WatchedBroker(settings(url), EventClock(START_NS), random.Random(1))
        broker.watch = watch
        stack.push_async_callback(broker.close)
        store: WatchedMemory | WatchedPostgres
        if given.memory:
            store = WatchedMemory(trading_day=trading_day, clock=SystemClock())
        else:
            server = await stack.enter_async_context(EmbeddedPostgres(folder / "postgres"))
            await migrate(server.url)
            async with awake(given.awake, folder):
                bare += await bare_commits(server.url, 300, 0.01)
                in_a_row += await bare_commits(server.url, 300, 0.0)
            store = WatchedPostgres(
                server.url, instruments=PAIRS, trading_day=trading_day, clock=SystemClock()
            )
            await store.open()
            stack.push_async_callback(store.close)
        store.watch = watch
        if given.realtime:
            undisturbed(*(() if given.memory else (server.pid,)))
        queue = WatchedQueue(SystemClock(), MARKET.queue_events)
        queue.watch = watch
        loop = await assemble(broker, store, cache, queue, watch.executor)
        async with awake(given.awake, folder, loop):
            elapsed_s = await measure(loop, given.tape, given.orders)
        if not given.memory:
            async with awake(given.awake, folder):
                bare += await bare_commits(server.url, 300, 0.01)
                in_a_row += await bare_commits(server.url, 300, 0.0)
    tally, stages = loop.pipeline.tally, watch.stages()
    return {
        "store": "memory" if given.memory else "postgres",
        "cache": given.cache,
        "awake": given.awake,
        "orders": len(stages["path"]),
        "refused": dict(tally.refused),
        "ticks": given.orders * TICKS_PER_CANDLE,
        "orders_per_s": round(len(stages["path"]) / elapsed_s, 1),
        "ticks_per_s": round(given.orders * TICKS_PER_CANDLE / elapsed_s, 1),
        **{f"{name}_us": percentiles(values) for name, values in stages.items()},
        **({"bare_commit_us": percentiles(bare)} if bare else {}),
        **({"bare_commit_in_a_row_us": percentiles(in_a_row)} if in_a_row else {}),
        "held_up": [before, held_up(given.awake)],
    }


async def main() -> None:
    """Measure with PostgreSQL, or in memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=900)
    parser.add_argument("--awake", type=int, default=-1, metavar="CPU", help="process.awake_on")
    parser.add_argument("--memory", action="store_true", help="without the durable commit")
    parser.add_argument("--cache", action="store_true", help="with the Redis server")
    parser.add_argument("--realtime", action="store_true", help="root, on a busy machine")
    parser.add_argument("--tape", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(await run(given, Path(folder))))


if __name__ == "__main__":
    uvloop.run(main())
