"""Months of candles as packed integers, so that a year of M1 is read as twelve rows.

A block holds columns one after the other, each as the smallest unsigned integers that hold its
distances from the column's least value (layout: `_HEADER`, then the columns). Blocks are made
from market_data by `refresh_blocks` and vanish by trigger when a candle of their month changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import numpy as np
from numpy.typing import NDArray

from sepd.domain.market import Granularity
from sepd.domain.time import NS_PER_S
from sepd.errors import InvariantViolated
from sepd.storage.queries import QUERIES
from sepd.storage.rows import to_datetime

COLUMNS = 10  # time in ns, volume, bid OHLC, ask OHLC in points
_HEADER = np.dtype([("count", "<u4"), ("size", "u1", (COLUMNS,)), ("least", "<i8", (COLUMNS,))])
_SIZES = (1, 2, 4, 8)
_EPOCH_US = 946_684_800_000_000
_COPY_ROW = np.dtype(
    [("fields", ">i2")]
    + [(f"{kind}{n}", ">i4" if kind == "length" else ">i8") for n in range(COLUMNS)
       for kind in ("length", "value")]
)  # fmt: skip
_COPY_HEADER = 19

Table = NDArray[np.int64]


def encode_block(table: Table) -> bytes:
    """A block of `table`, (rows, 10) int64, at least one row, times in whole seconds."""
    columns = [table[:, 0] // NS_PER_S, *(table[:, n] for n in range(1, COLUMNS))]
    header = np.zeros((), _HEADER)
    header["count"] = len(table)
    body = []
    for number, column in enumerate(columns):
        least = int(column.min())
        span = int(column.max()) - least
        size = next(size for size in _SIZES if span < 1 << (8 * size))
        header["size"][number], header["least"][number] = size, least
        body.append((column - least).astype(f"<u{size}").tobytes())
    return header.tobytes() + b"".join(body)


def decode_block(body: bytes, table: Table) -> None:
    """Fill `table`, (rows, 10) int64, from a block of so many rows.

    Raises:
        InvariantViolated: the block is damaged.
    """
    header = np.frombuffer(body, _HEADER, 1)[0]
    count = int(header["count"])
    if count != len(table) or len(body) != _HEADER.itemsize + count * int(header["size"].sum()):
        raise InvariantViolated("A block of candles is damaged: run `sepd db refresh --all`.")
    start = _HEADER.itemsize
    for number in range(COLUMNS):
        size = int(header["size"][number])
        column = np.frombuffer(body, "<i8" if size == 8 else f"<u{size}", count, start)
        np.add(column, header["least"][number], out=table[:, number], casting="unsafe")
        start += size * count
    table[:, 0] *= NS_PER_S


async def read_table(
    connection: asyncpg.Connection,
    instrument: str,
    granularity: Granularity,
    from_ns: int,
    to_ns: int,
) -> Table:
    """Candles that start in [from_ns, to_ns), oldest first: blocks where there are, else rows."""
    bounds = to_datetime(from_ns), to_datetime(to_ns)
    key = (instrument, granularity.value)
    parts: list[bytes | Table] = []
    counts: list[int] = []
    since = bounds[0]

    async def add_rows(until: datetime) -> None:
        if since < until:
            rows = await _read_rows(connection, *key, since, until)
            parts.append(rows)
            counts.append(len(rows))

    for block in await connection.fetch(QUERIES["blocks"], *key, *bounds):
        await add_rows(block["month"])
        parts.append(block["body"])
        counts.append(block["count"])
        since = block["next_month"]
    await add_rows(bounds[1])
    table = _joined(parts, counts)
    first, last = np.searchsorted(table[:, 0], (from_ns, to_ns))
    return table[first:last]


def _joined(parts: Sequence[bytes | Table], counts: Sequence[int]) -> Table:
    """One table of all parts, by columns, each value written once."""
    table = np.empty((sum(counts), COLUMNS), np.int64, order="F")
    end = 0
    for part, count in zip(parts, counts, strict=True):
        place = table[end : end + count]
        if isinstance(part, bytes):
            decode_block(part, place)
        else:
            place[:] = part
        end += count
    return table


async def refresh_blocks(connection: asyncpg.Connection, before: datetime) -> int:
    """Make the blocks that are missing of months that end by `before`; returns how many."""
    made = 0
    for row in await connection.fetch(QUERIES["months_without_block"], before):
        async with connection.transaction():
            await connection.execute(QUERIES["lock_candles"])
            table = await _read_rows(
                connection, row["pair"], row["granularity"], row["month"], row["next_month"]
            )
            if len(table):
                await connection.execute(
                    QUERIES["save_block"],
                    row["pair"],
                    row["granularity"],
                    row["month"],
                    len(table),
                    encode_block(table),
                )
                made += 1
    return made


async def _read_rows(
    connection: asyncpg.Connection, pair: str, granularity: str, first: datetime, last: datetime
) -> Table:
    """Rows of market_data by binary COPY, which costs a tenth of as many records."""
    chunks: list[bytes] = []

    async def keep(chunk: bytes) -> None:
        chunks.append(chunk)

    await connection.copy_from_query(
        QUERIES["candle_rows"], pair, granularity, first, last, output=keep, format="binary"
    )
    body = b"".join(chunks)
    count = (len(body) - _COPY_HEADER) // _COPY_ROW.itemsize
    rows = np.frombuffer(body, _COPY_ROW, count, _COPY_HEADER)
    table = np.empty((count, COLUMNS), np.int64)
    for number in range(COLUMNS):
        table[:, number] = rows[f"value{number}"]
    table[:, 0] = (table[:, 0] + _EPOCH_US) * 1000
    return table
