"""Reading the journal and what became of a signal: for replay and explain."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import asyncpg
from msgspec import Struct

from sepd.domain.time import format_time
from sepd.ports import JournalRecord
from sepd.storage.queries import QUERIES
from sepd.storage.rows import to_ns


class Story(Struct, frozen=True):
    """What became of a signal: orders, fills and results, as rows for people."""

    orders: list[dict[str, Any]]
    fills: list[dict[str, Any]]
    results: list[dict[str, Any]]


async def journal_runs(connection: asyncpg.Connection) -> list[int]:
    """Ids of the runs that the journal holds, newest first."""
    return [row["ingest_id"] for row in await connection.fetch(QUERIES["journal_runs"])]


async def read_journal(connection: asyncpg.Connection, run: int) -> AsyncGenerator[JournalRecord]:
    """The records of one run, in order, read as they are needed; close it (`aclosing`)."""
    async with connection.transaction(readonly=True):
        async for row in connection.cursor(QUERIES["journal"], run, prefetch=64):
            yield JournalRecord(**dict(row))


async def signal_of(connection: asyncpg.Connection, identifier: str) -> str | None:
    """The signal that an id of a signal, an intent, an order or a trade belongs to."""
    found: str | None = await connection.fetchval(QUERIES["signal_of"], identifier)
    return found


async def story(connection: asyncpg.Connection, signal_id: str) -> Story:
    """What became of a signal."""
    parts = [
        [_readable(dict(row)) for row in await connection.fetch(QUERIES[name], signal_id)]
        for name in ("story_orders", "story_fills", "story_results")
    ]
    return Story(*parts)


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    """Instants as RFC 3339, decimals as texts."""
    if "time_ns" in row:
        row["time"] = format_time(row.pop("time_ns"))
    for key in ("opened", "closed"):
        if row.get(key) is not None:
            row[key] = format_time(to_ns(row[key]))
    return {key: f"{v:f}" if isinstance(v, Decimal) else v for key, v in row.items()}
