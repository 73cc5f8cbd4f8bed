"""The store against a bare driver on the same server, in the same run.

`python benchmarks/storage.py [--candles 1000000] [--ticks 320000] [--realtime]` prints one JSON
document. `--realtime` (root) gives us and the server real-time priority while latencies are
measured, for machines that are busy with other work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import psutil
import uvloop

from sepd.clock import EventClock
from sepd.domain.account import AccountEvent, OrderAccepted, OrderFilled, TradeOpen
from sepd.domain.event import MarketEvent
from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.domain.order import OrderIntent, Purpose
from sepd.domain.signal import Action, Metrics, Signal
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.encode import CANDLE_COLUMNS
from sepd.storage.migrate import migrate
from sepd.storage.postgres import PostgresStore
from sepd.storage.rows import EPOCH
from sepd.storage.upkeep import refresh

S = 1_000_000_000
START = 1_388_620_800 * S  # 2014-01-02
YEAR = 365 * 86_400 * S
M1 = Granularity.M1
PAIR = Instrument("EUR_USD")


def prices(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A random walk in points; its only use is to be of the right size."""
    steps = np.random.default_rng(7).integers(-3, 4, count)
    return (110_000 + np.cumsum(steps)).astype(np.int64)


def minute_candles(count: int) -> list[Candle]:
    """M1 candles of five days a week."""
    minutes = np.arange(count * 7 // 5 + 10_080, dtype=np.int64)
    times = (minutes[(minutes // 1_440) % 7 < 5][:count] * 60 * S + START).tolist()
    return [
        Candle(PAIR.name, M1, t, p, p + 5, p - 5, p + 1, p + 9, p + 14, p + 4, p + 10, 42)
        for t, p in zip(times, prices(count).tolist(), strict=True)
    ]


def as_records(candles: list[Candle]) -> list[tuple[Any, ...]]:
    """The same rows as a bare driver wants them."""
    half = Decimal("0.000005")
    return [
        (
            EPOCH + timedelta(microseconds=c.time_ns // 1000), c.instrument, "M1",
            (c.bid_open + c.ask_open) * half, (c.bid_high + c.ask_high) * half,
            (c.bid_low + c.ask_low) * half, (c.bid_close + c.ask_close) * half, c.volume,
            c.bid_open, c.bid_high, c.bid_low, c.bid_close,
            c.ask_open, c.ask_high, c.ask_low, c.ask_close, "bench", 1,
        )
        for c in candles
    ]  # fmt: skip


async def bare_copy(url: str, candles: list[Candle]) -> float:
    """Rows per second of asyncpg's own COPY into a table of the same shape."""
    records = as_records(candles)
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE bare (LIKE market_data INCLUDING ALL)")
    began = time.perf_counter()
    await connection.copy_records_to_table("bare", records=records, columns=list(CANDLE_COLUMNS))
    rate = len(records) / (time.perf_counter() - began)
    await connection.execute("DROP TABLE bare")
    await connection.close()
    return rate


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[PostgresStore]:
    """A store whose writer runs."""
    store = PostgresStore(
        url,
        instruments={PAIR.name: PAIR},
        trading_day=lambda _: "2014-01-02",
        clock=EventClock(START),
        timeout_s=60,
    )
    await store.open()
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(store.run())
        yield store
        writer.cancel()
    await store.close()


async def import_candles(store: PostgresStore, candles: list[Candle]) -> float:
    """Rows per second from candle values to committed rows."""
    began = time.perf_counter()
    for first in range(0, len(candles), 5_000):
        await store.record_candles(candles[first : first + 5_000], "bench")
    await store.flush()
    return len(candles) / (time.perf_counter() - began)


async def record_ticks(store: PostgresStore, count: int) -> dict[str, float]:
    """Quotes per second of time, and of this process's own CPU time."""
    events = [
        MarketEvent(n, n, Quote(PAIR.name, START + n * S // 4, p, p + 12))
        for n, p in enumerate(prices(count).tolist())
    ]
    began, cpu = time.perf_counter(), time.process_time()
    for first in range(0, count, 512):
        await store.record_events(events[first : first + 512])
        await asyncio.sleep(0)
    await store.flush()
    return {
        "per_s": count / (time.perf_counter() - began),
        "per_cpu_s": count / (time.process_time() - cpu),
    }


@contextmanager
def undisturbed(server: psutil.Process | None) -> Iterator[None]:
    """Real-time priority for this process and `server` with its children, for a short time."""
    pids = [os.getpid(), *_tree(server)] if server else []
    for pid in pids:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(5))
    try:
        yield
    finally:
        for pid in pids:
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


def _tree(server: psutil.Process) -> list[int]:
    return [server.pid, *(child.pid for child in server.children(recursive=True))]


async def timed(work: Callable[[int], Any], times: int) -> dict[str, float]:
    """Milliseconds of `work(n)`, n = 0 … times − 1."""
    taken = []
    for number in range(times):
        began = time.perf_counter()
        await work(number)
        taken.append((time.perf_counter() - began) * 1e3)
    return {
        "p50_ms": float(np.percentile(taken, 50)),
        "p99_ms": float(np.percentile(taken, 99)),
        "min_ms": min(taken),
    }


def signal(number: int) -> Signal:
    return Signal(
        f"S{number:025d}", PAIR.name, M1, Action.BUY, 1, Metrics(1, 2, 3, 4), "bench", "0" * 12,
        START, START + S,
    )  # fmt: skip


def intent(number: int) -> OrderIntent:
    return OrderIntent(
        f"bench-{number}", "bench", signal(number).id, Purpose.ENTRY, PAIR.name, Decimal(1000),
        START, START + S, 0,
    )  # fmt: skip


def entry(number: int) -> list[AccountEvent]:
    """The four rows of a filled entry: order, fill, take profit, stop."""
    first, name, zero = 4 * number + 1, intent(number).id, Decimal(0)
    opened = TradeOpen(first + 1, Decimal(1000), 110_000)
    return [
        OrderAccepted(first, START, "MARKET_ORDER", "CLIENT_ORDER", client_order_id=name),
        OrderFilled(
            first + 1, START, first, PAIR.name, Decimal(1000), 110_000, "MARKET_ORDER", zero, zero,
            zero, Decimal(100_000), name, opened=opened,
        ),
        OrderAccepted(first + 2, START, "TAKE_PROFIT_ORDER", "ON_FILL"),
        OrderAccepted(first + 3, START, "STOP_LOSS_ORDER", "ON_FILL"),
    ]  # fmt: skip


async def durable_commit(url: str) -> dict[str, float]:
    """A bare one-row commit on the same disk, to compare with."""
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE one (n bigint)")
    insert = await connection.prepare("INSERT INTO one VALUES ($1)")
    found = await timed(insert.fetch, 1_000)
    await connection.close()
    return found


async def measure(
    url: str, candles: int, ticks: int, server: psutil.Process | None
) -> dict[str, Any]:
    """All figures, on the server at `url`."""
    rows = minute_candles(candles)
    bare = await bare_copy(url, rows)
    async with open_store(url) as store:
        return await measure_store(store, url, rows, bare, ticks, server)


async def measure_store(
    store: PostgresStore,
    url: str,
    rows: list[Candle],
    bare: float,
    ticks: int,
    server: psutil.Process | None,
) -> dict[str, Any]:
    """What concerns the opened store."""
    imported = await import_candles(store, rows)
    connection = await asyncpg.connect(url)
    began = time.perf_counter()
    done = await refresh(connection, rows[-1].time_ns + 40 * 86_400 * S)
    refreshed = time.perf_counter() - began
    await connection.close()
    first = (rows[-1].time_ns - YEAR) // S * S

    async def year(_: int) -> None:
        await store.candle_table(PAIR.name, M1, first, first + YEAR)

    async def commit(number: int) -> None:
        await store.commit_intent(intent(number), signal(number), b'{"risk": 1}')

    async def apply(number: int) -> None:
        await store.apply_account_events("bench", entry(number))

    recorded = await record_ticks(store, ticks)
    await year(0)
    await commit(-1)
    with undisturbed(server):
        latencies = {
            "year_of_m1": await timed(year, 50),
            "bare_commit": await durable_commit(url),
            "commit_intent": await timed(commit, 1_000),
            "apply_entry": await timed(apply, 1_000),
        }
    return {
        "import_candles": {
            "rows": len(rows), "per_s": imported, "bare_copy_per_s": bare, "ratio": imported / bare,
        },
        "refresh": {"days": done.days, "blocks": done.blocks, "seconds": refreshed},
        "ticks": recorded,
        "rows_of_the_year": len(await store.candle_table(PAIR.name, M1, first, first + YEAR)),
        **latencies,
    }  # fmt: skip


async def main() -> None:
    """Measure on an embedded server with its ordinary, durable settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candles", type=int, default=1_000_000)
    parser.add_argument("--ticks", type=int, default=320_000)
    parser.add_argument("--realtime", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedPostgres(Path(folder) / "postgres") as server:
            await migrate(server.url)
            held = psutil.Process(server.pid) if options.realtime else None
            report = await measure(server.url, options.candles, options.ticks, held)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    uvloop.run(main())
