"""The cache against a bare round trip to the same server.

`python benchmarks/cache.py` prints one JSON document.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import redis.asyncio as redis
import uvloop

from sepd.cache.embedded import EmbeddedRedis
from sepd.cache.valkey import ValkeyCache
from sepd.domain.market import Candle, Granularity

M1 = Granularity.M1
TIMES = 5_000


def candles(count: int) -> list[Candle]:
    return [
        Candle("EUR_USD", M1, n * M1.ns, 110_000 + n, 110_009, 109_990, 110_001,
               110_012, 110_021, 110_002, 110_013, 42)
        for n in range(count)
    ]  # fmt: skip


async def timed(work: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """Milliseconds of one call."""
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - began) * 1e3)
    return {f"p{p}_ms": float(np.percentile(taken, p)) for p in (50, 99)}


async def measure(url: str) -> dict[str, object]:
    """All figures, on the server at `url`."""
    cache = ValkeyCache(url)
    await cache.open()
    rows = candles(2_000)
    began = time.perf_counter()
    cache.put_candles(rows)
    await cache.flush()
    written = len(rows) / (time.perf_counter() - began)
    client = redis.Redis.from_url(url)
    report: dict[str, object] = {
        "write_candles_per_s": written,
        "round_trip": await timed(client.ping),
        "latest_500_candles": await timed(lambda: cache.latest_candles("EUR_USD", M1, 500)),
    }
    await client.aclose()
    await cache.close()
    return report


async def main() -> None:
    """Measure on an embedded server."""
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedRedis(Path(folder) / "redis") as server:
            report = await measure(server.url)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    uvloop.run(main())
