"""What the COPY encoder writes, PostgreSQL reads back to the last digit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sepd.domain.market import Candle, Granularity, Quote
from sepd.storage import encode
from sepd.storage.link import connect
from sepd.storage.rows import to_ns

POINTS = st.integers(1, 10**11)
TIMES = st.integers(0, 4_102_444_800).map(lambda second: second * 1_000_000_000)
PRECISIONS = st.integers(0, 6)
FIXTURE = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])

quotes = st.builds(
    Quote,
    instrument=st.just("EUR_USD"),
    time_ns=st.integers(0, 4_000_000_000_000_000_000),
    bid=st.integers(-(2**62), 2**62),
    ask=POINTS,
    tradeable=st.booleans(),
)


@st.composite
def candles(draw: st.DrawFn) -> Candle:
    return Candle("XAU_USD", Granularity.H1, draw(TIMES), *(draw(POINTS) for _ in range(9)))


async def copy(connection: asyncpg.Connection, kind: str, like: str, block: bytes) -> None:
    """Fill a plain table with the columns of `like`."""
    await connection.execute(f"DROP TABLE IF EXISTS {kind}; CREATE TABLE {kind} (LIKE {like})")
    columns = encode.TICK_COLUMNS if like == "ticks" else encode.CANDLE_COLUMNS
    body = bytearray(encode.HEADER + block + encode.TRAILER)
    await connection.copy_to_table(kind, source=body, columns=list(columns), format="binary")


@FIXTURE
@given(rows=st.lists(quotes, max_size=20))
async def test_ticks_come_back_as_they_were(database_url: str, rows: list[Quote]) -> None:
    connection = await connect(database_url, 5)
    try:
        await copy(connection, "t", "ticks", encode.encode_ticks("EUR_USD", rows, 7))
        found = await connection.fetch("SELECT * FROM t")
    finally:
        await connection.close()
    assert [
        Quote(r["pair"], to_ns(r["timestamp"]) + r["nanos"], r["bid"], r["ask"], r["tradeable"])
        for r in found
    ] == rows
    assert {row["ingest_id"] for row in found} <= {7}


@FIXTURE
@given(rows=st.lists(candles(), min_size=1, max_size=20), precision=PRECISIONS)
async def test_candles_come_back_with_exact_mid_prices(
    database_url: str, rows: list[Candle], precision: int
) -> None:
    block = encode.encode_candles(rows, precision=precision, source="", ingest_id=1)
    connection = await connect(database_url, 5)
    try:
        await copy(connection, "c", "market_data", block)
        found = await connection.fetch("SELECT * FROM c")
    finally:
        await connection.close()
    for row, candle in zip(found, rows, strict=True):
        half = Decimal(candle.bid_high + candle.ask_high) / 2
        assert row["high"] == half.scaleb(-precision)
        assert -row["high"].as_tuple().exponent == precision + 1
        points = [row[name] for name in encode.CANDLE_COLUMNS[8:16]]
        time_ns = to_ns(row["timestamp"])
        values: tuple[Any, ...] = (row["pair"], Granularity.H1, time_ns, *points, row["volume"])
        assert Candle(*values) == candle
        assert row["granularity"] == "H1"
