"""What is derived from candles and results follows them, whoever changes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import asyncpg
import numpy as np
import pytest
import pytest_asyncio

from sepd.clock import EventClock
from sepd.domain.account import OrderFilled, TradeOpen, TradeReduce
from sepd.domain.market import Candle, Granularity
from sepd.market.coarse import merged
from sepd.storage.link import connect
from sepd.storage.postgres import PostgresStore
from sepd.storage.upkeep import refresh
from tests.support.trading import ACCOUNT, NOON, PAIRS, S

M1 = Granularity.M1
START = 1_488_326_400 * S  # 2017-03-01
DAY = 86_400 * S
NOW = START + 100 * DAY
ROLLED = [Granularity.M5, Granularity.M15, Granularity.H1, Granularity.H4, Granularity.D]
EVERYTHING = (0, 1 << 62)


def candle(time_ns: int, seed: int = 0) -> Candle:
    wave = (time_ns // (60 * S) * 7 + seed) % 50
    values: tuple[Any, ...] = (
        "EUR_USD", M1, time_ns, wave, wave + 9, wave - 9, wave + 1,
        wave + 2, wave + 12, wave - 7, wave + 3, wave % 5,
    )  # fmt: skip
    return Candle(*values)


def minutes(first_ns: int, count: int, step: int = 1) -> list[Candle]:
    return [candle(first_ns + n * step * 60 * S) for n in range(count)]


def as_table(candles: list[Candle]) -> list[list[int]]:
    return [
        [
            c.time_ns, c.volume, c.bid_open, c.bid_high, c.bid_low, c.bid_close,
            c.ask_open, c.ask_high, c.ask_low, c.ask_close,
        ]
        for c in candles
    ]  # fmt: skip


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    one = PostgresStore(
        database_url, instruments=PAIRS, trading_day=lambda _: "d", clock=EventClock(NOON)
    )
    await one.open()
    yield one
    await one.close()


@pytest_asyncio.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    one = await connect(database_url, 10)
    yield one
    await one.close()


async def add(store: PostgresStore, candles: list[Candle]) -> None:
    await store.record_candles(candles, "test")
    await store.flush()


async def test_a_table_is_the_same_packed_and_unpacked(
    store: PostgresStore, connection: asyncpg.Connection
) -> None:
    known = minutes(START - 5 * DAY, 3_000, step=7)
    await add(store, known)
    windows = [
        EVERYTHING,
        (START, START + DAY),
        (START - 3 * DAY + 30 * S, START + 2 * DAY),
        (known[10].time_ns, known[10].time_ns),
        (START + 90 * DAY, START + 91 * DAY),
    ]
    rows = [await store.candle_table("EUR_USD", M1, *window) for window in windows]
    assert rows[0].tolist() == as_table(known)
    assert (await refresh(connection, NOW)).blocks == 2
    for window, before in zip(windows, rows, strict=True):
        assert np.array_equal(await store.candle_table("EUR_USD", M1, *window), before)


async def test_a_month_is_packed_when_it_is_over(
    store: PostgresStore, connection: asyncpg.Connection
) -> None:
    await add(store, minutes(START, 100))
    assert (await refresh(connection, START + 30 * DAY)).blocks == 0
    assert (await refresh(connection, START + 31 * DAY)).blocks == 1
    assert (await refresh(connection, START + 31 * DAY)).blocks == 0


FIVE_PAST = "WHERE timestamp = timestamptz '2017-03-01 00:05 UTC'"
CHANGES = {
    "insert": """INSERT INTO market_data
        SELECT timestamptz '2017-03-01 23:59:30 UTC', pair, granularity, open, high, low, close,
               77, 1, 2, 3, 4, 5, 6, 7, 8, '', 0
        FROM market_data LIMIT 1""",
    "delete": f"DELETE FROM market_data {FIVE_PAST}",
    "update": f"UPDATE market_data SET bid_high = 12345, volume = 9 {FIVE_PAST}",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_changed_candle_shows_at_once_in_tables_and_after_refresh_in_roll_ups(
    store: PostgresStore, connection: asyncpg.Connection, change: str
) -> None:
    await add(store, minutes(START, 60 * 24))
    await refresh(connection, NOW)
    before = await store.candle_table("EUR_USD", M1, *EVERYTHING)
    await connection.execute(change)
    after = await store.candle_table("EUR_USD", M1, *EVERYTHING)
    assert before.tolist() != after.tolist()
    done = await refresh(connection, NOW)
    assert (done.days, done.blocks) == (1, 1)
    assert np.array_equal(await store.candle_table("EUR_USD", M1, *EVERYTHING), after)
    rolled = await connection.fetchrow("SELECT sum(minutes), sum(volume) FROM candles_m5")
    assert tuple(rolled) == (len(after), int(after[:, 1].sum()))


async def test_roll_ups_are_what_the_candle_builder_makes(
    store: PostgresStore, connection: asyncpg.Connection
) -> None:
    known = minutes(START - 2 * DAY, 2_000, step=3)
    await add(store, known)
    await refresh(connection, NOW)
    for granularity in ROLLED:
        rows = await connection.fetch(
            "SELECT (extract(epoch FROM timestamp) * 1000000000)::bigint, bid_open, bid_high,"
            " bid_low, bid_close, ask_open, ask_high, ask_low, ask_close, volume"
            f" FROM candles_{granularity.value.lower()} ORDER BY timestamp"
        )
        periods: dict[int, list[Candle]] = {}
        for one in known:
            periods.setdefault(granularity.floor(one.time_ns), []).append(one)
        expected = [merged(granularity, start, parts) for start, parts in periods.items()]
        assert [Candle("EUR_USD", granularity, *row) for row in rows] == expected


async def test_refreshing_everything_gives_the_same(
    store: PostgresStore, connection: asyncpg.Connection
) -> None:
    await add(store, minutes(START, 5_000))
    await refresh(connection, NOW)
    before = await connection.fetch("SELECT * FROM candle_rollups ORDER BY 1, 2, 3")
    done = await refresh(connection, NOW, everything=True)
    assert (done.days, done.blocks) == (4, 1)
    assert await connection.fetch("SELECT * FROM candle_rollups ORDER BY 1, 2, 3") == before


async def test_daily_performance_sums_closed_trades(
    store: PostgresStore, connection: asyncpg.Connection
) -> None:
    balance = Decimal(1_000)
    for number, text in enumerate(["5.25", "-2.5", "0.75"]):
        pl, opened, closed = Decimal(text), 10 * number + 1, 10 * number + 2
        balance += pl
        units, zero = Decimal(100), Decimal(0)
        entry = OrderFilled(
            opened, NOON, opened, "EUR_USD", units, 100, "MARKET_ORDER", zero, zero, zero,
            balance - pl, opened=TradeOpen(opened, units, 100),
        )  # fmt: skip
        stop = OrderFilled(
            closed, NOON + number // 2 * DAY, closed, "EUR_USD", -units, 105, "STOP_LOSS_ORDER",
            pl, zero, zero, balance, closed=(TradeReduce(opened, -units, 105, pl),),
        )  # fmt: skip
        await store.apply_account_events(ACCOUNT, [entry, stop])
    await refresh(connection, NOW)
    rows = await connection.fetch(
        "SELECT trades, winners, profit_loss FROM daily_performance ORDER BY day"
    )
    assert [tuple(row) for row in rows] == [(2, 1, Decimal("2.75")), (1, 1, Decimal("0.75"))]
