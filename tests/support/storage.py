"""The PostgreSQL store in tests: opened, mistreated, and cut off from its server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest_asyncio

from sepd.clock import EventClock
from sepd.domain.event import MarketEvent
from sepd.domain.market import Candle, Granularity, Quote
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.migrate import migrate
from sepd.storage.postgres import PostgresStore
from tests.support.servers import UNSAFE
from tests.support.trading import NOON, PAIRS, S
from tests.support.unix_proxy import UnixProxy

SOCKET = ".s.PGSQL.5432"


def store_at(url: str, **options: float) -> PostgresStore:
    return PostgresStore(
        url,
        instruments=PAIRS,
        trading_day=lambda time_ns: str(time_ns // (86_400 * S)),
        clock=EventClock(NOON),
        timeout_s=options.get("timeout_s", 5.0),
        queue_rows=int(options.get("queue_rows", 100_000)),
    )


@pytest_asyncio.fixture
async def postgres_store(database_url: str) -> AsyncIterator[PostgresStore]:
    one = store_at(database_url)
    await one.open()
    yield one
    await one.close()


@pytest_asyncio.fixture
async def own_postgres(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A migrated server of the test's own, to be mistreated."""
    async with EmbeddedPostgres(tmp_path / "own", UNSAFE) as one:
        await migrate(one.url)
        yield one


@pytest_asyncio.fixture
async def postgres_line(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[UnixProxy, str]]:
    """A line to the test's database that can be cut, and the address at its near end."""
    address, _, folder = database_url.partition("?host=")
    async with UnixProxy(tmp_path / SOCKET, Path(folder) / SOCKET) as line:
        yield line, f"{address}?host={tmp_path}"


async def fetch(url: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        found: list[asyncpg.Record] = await connection.fetch(statement)
        return found
    finally:
        await connection.close()


def quotes(first: int, count: int) -> list[MarketEvent]:
    return [
        MarketEvent(n, n, Quote("EUR_USD", NOON + n * S, 110_000 + n, 110_010 + n))
        for n in range(first, first + count)
    ]


def candle(minute: int, price: int = 110_000) -> Candle:
    prices = (price + n for n in (0, 9, -9, 1, 5, 14, -4, 6))
    values: tuple[Any, ...] = ("EUR_USD", Granularity.M1, NOON + minute * 60 * S, *prices, 7)
    return Candle(*values)


def processes(server: EmbeddedPostgres) -> list[psutil.Process]:
    """The postmaster and its children."""
    parent = psutil.Process(server.pid)
    return [parent, *parent.children(recursive=True)]


async def kill(server: EmbeddedPostgres) -> None:
    """SIGKILL all of it, and wait until it is gone."""
    found = processes(server)
    for process in found:
        process.kill()
    await asyncio.to_thread(psutil.wait_procs, found[1:])
