"""How many price lines a second one core turns into quotes, and takes to the consumer.

    python -m benchmarks.stream [--tape FILE] [--lines N]

Prints one JSON object. `parse` is lines to price batches alone; `feed` adds the producer, the
queue and a consumer that only takes; `http` the client and a chunked HTTP stream from another
process; `bare_json` decodes each line with json.loads.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import gzip
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import uvloop

from sepd.broker.oanda.stream import LineCounts, PriceLines
from sepd.clock import SystemClock
from sepd.domain.market import Granularity, Instrument
from sepd.domain.time import format_time, parse_time
from sepd.feed import EventQueue, PriceFeed, Staleness, TransactionFeed
from sepd.ports import PriceBatch
from tests.support.feed import ScriptedBroker
from tests.support.oanda import (
    ACCOUNT,
    ScriptedOanda,
    connected,
    heartbeat,
    serving,
    streaming,
)

BLOCK_LINES = 1_000
EUR_USD = Instrument("EUR_USD")


def recorded(tape: Path, count: int) -> list[tuple[str, str, str]]:
    """The first rows of a tick tape, times in the broker's spelling."""
    with gzip.open(tape, "rt") as file:
        rows = csv.reader(file)
        next(rows)
        return [
            (format_time(parse_time(at)), bid, ask)
            for (at, bid, ask), _ in zip(rows, range(count), strict=False)
        ]


def walked(count: int) -> list[tuple[str, str, str]]:
    """A seeded walk where there is no tape: prices for timing, never for a decision."""
    rng, level, rows = random.Random(7), 138_676, []
    for number in range(count):
        level += rng.choice((-1, 0, 0, 1))
        at = format_time(1_398_902_400_000_000_000 + number * 250_000_000)
        rows.append((at, f"{level / 1e5:.5f}", f"{(level + 10) / 1e5:.5f}"))
    return rows


def blocks(rows: Sequence[tuple[str, str, str]]) -> list[bytes]:
    """The rows as OANDA writes them, many lines to a block."""
    lines = [
        f'{{"type":"PRICE","time":"{at}","bids":[{{"price":"{bid}","liquidity":10000000}}],'
        f'"asks":[{{"price":"{ask}","liquidity":10000000}}],"closeoutBid":"{bid}",'
        f'"closeoutAsk":"{ask}","status":"tradeable","tradeable":true,"instrument":"EUR_USD"}}\n'
        for at, bid, ask in rows
    ]
    return [
        "".join(lines[at : at + BLOCK_LINES]).encode() for at in range(0, len(lines), BLOCK_LINES)
    ]


def parse(data: Sequence[bytes]) -> float:
    """Seconds to turn `data` into price batches."""
    lines = PriceLines({"EUR_USD": EUR_USD}, LineCounts())
    started = time.perf_counter()
    for block in data:
        for _ in lines.batches(block):
            pass
    return time.perf_counter() - started


def bare_json(data: Sequence[bytes]) -> float:
    """Seconds to decode `data` line by line with the standard library."""
    started = time.perf_counter()
    for block in data:
        for line in block.splitlines():
            json.loads(line)
    return time.perf_counter() - started


async def feed(data: Sequence[bytes]) -> float:
    """Seconds from blocks of lines to events in the consumer's hands."""
    clock = SystemClock()
    queue = EventQueue(clock, 65_536, paced=True)
    lines = PriceLines({"EUR_USD": EUR_USD}, LineCounts())

    async def stream() -> AsyncIterator[PriceBatch]:
        for block in data:
            for batch in lines.batches(block):
                yield batch
            await asyncio.sleep(0)

    broker = ScriptedBroker()
    broker.prices.append(stream)
    prices = PriceFeed(
        broker,
        queue,
        ["EUR_USD"],
        transactions=TransactionFeed(broker, queue, 0),
        staleness=Staleness(clock, ["EUR_USD"]),
        base=Granularity.M1,
    )

    async def consume() -> None:
        while True:
            batch = await queue.get_batch(4_096)
            queue.processed(batch[-1].sequence)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        consumer = group.create_task(consume())
        await prices.run()
        await queue.wait_processed(queue.last_sequence)
        consumer.cancel()
    return time.perf_counter() - started


async def http(arguments: Sequence[str]) -> float:
    """Seconds from a chunked HTTP stream of another process to batches in our hands."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.stream", "--serve", *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    port = int(await server.stdout.readline())
    try:
        async with connected(f"http://127.0.0.1:{port}", paced=True) as broker:
            started = time.perf_counter()
            async for _ in broker.stream_prices(["EUR_USD"]):
                pass
            return time.perf_counter() - started
    finally:
        server.terminate()
        await server.wait()


async def serve(data: Sequence[bytes]) -> None:
    """Stream `data` to whoever asks, until terminated; prints the port."""
    end = msgspec.json.encode(heartbeat(tapeEnd=True)) + b"\n"
    oanda = ScriptedOanda()
    oanda.does("GET", f"/v3/accounts/{ACCOUNT}/pricing/stream", streaming(*data, end))
    async with serving(oanda):
        print(oanda.url.rpartition(":")[2], flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tape", type=Path)
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("--serve", action="store_true", help="be the server of the http leg")
    options = parser.parse_args()
    rows = recorded(options.tape, options.lines) if options.tape else walked(options.lines)
    data = blocks(rows)
    if options.serve:
        asyncio.run(serve(data))
        return
    seconds = {
        "parse": min(parse(data) for _ in range(3)),
        "feed": min(asyncio.run(feed(data)) for _ in range(3)),
        "http": min(uvloop.run(http(sys.argv[1:])) for _ in range(3)),
        "bare_json": min(bare_json(data) for _ in range(3)),
    }
    print(json.dumps({"lines": len(rows)} | {k: round(len(rows) / s) for k, s in seconds.items()}))


if __name__ == "__main__":
    main()
