"""What is derived from the tables, made again where the tables have changed."""

from __future__ import annotations

import asyncpg
from msgspec import Struct

from sepd.storage.blocks import refresh_blocks
from sepd.storage.queries import QUERIES
from sepd.storage.rows import to_datetime

_DAYS = 31


SERIES = ("ticks", "journal")


class Refreshed(Struct, frozen=True):
    """What a refresh did."""

    days: int
    blocks: int


async def refresh(
    connection: asyncpg.Connection, now_ns: int, *, everything: bool = False
) -> Refreshed:
    """Bring roll-ups, blocks and daily performance up to date, while others read and write.

    Args:
        everything: as if every candle had changed.
    """
    if everything:
        await connection.execute(QUERIES["mark_all_changed"])
        await connection.execute(QUERIES["drop_blocks"])
    days = 0
    while done := await connection.fetchval(QUERIES["refresh_rollups"], _DAYS):
        days += done
    blocks = await refresh_blocks(connection, to_datetime(now_ns))
    await connection.execute(QUERIES["refresh_performance"])
    return Refreshed(days, blocks)


async def forget(connection: asyncpg.Connection, before_ns: int) -> int:
    """Drop the months of ticks and journal that end before an instant; returns how many."""
    before = to_datetime(before_ns)
    dropped = 0
    for table in SERIES:
        dropped += await connection.fetchval(QUERIES["forget"], table, before)
    return dropped
