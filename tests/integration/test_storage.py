"""The store against real PostgreSQL: what is refused at the door, and what is kept."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import asyncpg
import psutil
import pytest

from sepd.domain.event import MarketEvent
from sepd.domain.market import Granularity, Quote
from sepd.errors import ConfigError, InvariantViolated, TransientError
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.postgres import PostgresStore
from sepd.storage.rows import signal_row
from sepd.storage.upkeep import forget
from tests.support.servers import execute
from tests.support.storage import candle, fetch, quotes, store_at
from tests.support.trading import ACCOUNT, NOON, S, make_entry, make_signal

VERDICTS = "SELECT signal_id, verdict FROM signals"


async def test_a_server_that_is_away_is_a_sentence() -> None:
    with pytest.raises(TransientError, match=r"sepd:\[redacted\]@127.0.0.1:1/sepd cannot be reach"):
        await store_at("postgresql://sepd:hunter2@127.0.0.1:1/sepd").open()


async def test_a_database_that_is_missing_is_a_sentence(database_url: str) -> None:
    wrong = database_url.replace("/test_", "/no_such_")
    with pytest.raises(ConfigError, match=r"does not exist\. Create the database"):
        await store_at(wrong).open()


async def test_a_wrong_password_is_a_sentence_without_it(
    own_postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    await execute(own_postgres, "CREATE ROLE guest LOGIN PASSWORD 'right'")
    (tmp_path / "own" / "data" / "pg_hba.conf").write_text("local all all scram-sha-256\n")
    psutil.Process(own_postgres.pid).send_signal(signal.SIGHUP)
    url = own_postgres.url.replace("sepd@", "guest:hunter2@", 1)
    while True:
        try:
            await store_at(url).open()
        except ConfigError as error:
            found = str(error)
            if "password authentication failed" in found:
                break
    assert "hunter2" not in found
    assert "Check the user and password in DATABASE_URL" in found


async def test_a_schema_that_is_missing_is_a_sentence(empty_database_url: str) -> None:
    with pytest.raises(ConfigError, match="Run `sepd db migrate`"):
        await store_at(empty_database_url).open()


async def test_published_tables_hold_decimals(
    postgres_store: PostgresStore, database_url: str
) -> None:
    await postgres_store.record_candles([candle(0)], "tape")
    await postgres_store.flush()
    row = (await fetch(database_url, "SELECT * FROM market_data"))[0]
    assert (row["pair"], row["granularity"], row["source"]) == ("EUR_USD", "M1", "tape")
    assert [str(row[n]) for n in ("open", "high", "low", "close")] == [
        "1.100025", "1.100115", "1.099935", "1.100035",
    ]  # fmt: skip


async def test_a_candle_is_stored_once_as_it_came_first(postgres_store: PostgresStore) -> None:
    await postgres_store.record_candles([candle(0), candle(1)], "tape")
    await postgres_store.flush()
    await postgres_store.record_candles([candle(1, 200_000), candle(2), candle(2)], "tape")
    await postgres_store.flush()
    found = await postgres_store.candles("EUR_USD", Granularity.M1, NOON, NOON + 3600 * S)
    assert list(found) == [candle(0), candle(1), candle(2)]


async def test_the_brokers_candle_stands_in_place_of_one_built_from_quotes(
    postgres_store: PostgresStore,
) -> None:
    for price, source in ((1, "stream"), (2, "broker"), (3, "stream"), (4, "broker")):
        await postgres_store.record_candles([candle(0, price)], source)
        await postgres_store.flush()
    await postgres_store.record_candles([candle(1, 1)], "stream")
    await postgres_store.record_candles([candle(1, 2)], "broker")
    await postgres_store.flush()
    found = await postgres_store.candles("EUR_USD", Granularity.M1, NOON, NOON + 3600 * S)
    assert list(found) == [candle(0, 2), candle(1, 2)]


async def test_candles_of_forty_years_find_their_partitions(postgres_store: PostgresStore) -> None:
    years = [candle(525_960 * year) for year in range(-17, 24)]
    await postgres_store.record_candles(years, "tape")
    await postgres_store.flush()
    assert list(await postgres_store.candles("EUR_USD", Granularity.M1, 0, 1 << 62)) == years


async def test_old_months_can_be_forgotten(
    postgres_store: PostgresStore, database_url: str
) -> None:
    months = [
        MarketEvent(n, n, Quote("EUR_USD", NOON + n * 31 * 86_400 * S, 1, 2)) for n in range(4)
    ]
    await postgres_store.record_events(months)
    await postgres_store.flush()
    connection = await asyncpg.connect(database_url)
    assert await forget(connection, NOON + 40 * 86_400 * S) == 1
    await connection.close()
    assert (await postgres_store.totals(ACCOUNT)).ticks == 3


async def test_prices_of_an_unknown_instrument_are_not_guessed(database_url: str) -> None:
    store = store_at(database_url)
    await store.open()
    await store.record_events([MarketEvent(1, 1, Quote("XAU_USD", NOON, 1, 2))])
    with pytest.raises(InvariantViolated, match="nothing says its precision"):
        await store.flush()
    assert "XAU_USD" in store.fault
    with pytest.raises(InvariantViolated):
        await store.close()


async def test_a_full_queue_waits_and_drops_nothing(database_url: str) -> None:
    store = store_at(database_url, queue_rows=1_000)
    await store.open()
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(store.run())
        for first in range(0, 20_000, 500):
            await store.record_events(quotes(first, 500))
            assert store.queued <= 1_000
        await store.flush()
        writer.cancel()
    assert (await store.totals(ACCOUNT)).ticks == 20_000
    await store.close()


async def test_a_full_queue_that_nobody_writes_is_written_by_the_caller(database_url: str) -> None:
    store = store_at(database_url, queue_rows=1_000)
    await store.open()
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(store.run())
        await asyncio.sleep(0)
        writer.cancel()
    for first in range(0, 5_000, 500):
        await store.record_events(quotes(first, 500))
    await store.close()
    assert (await fetch(database_url, "SELECT count(*) FROM ticks"))[0][0] == 5_000


async def test_signals_of_intents_that_a_dead_process_queued_are_written_by_the_next(
    database_url: str,
) -> None:
    dead = store_at(database_url)
    await dead.open()
    await dead.record_kill(ACCOUNT, "")
    signals = [make_signal(number) for number in range(3)]
    await dead.record_signal(signals[0], "spread_too_wide")
    await dead.flush()
    for one in signals:
        await dead.commit_intent(make_entry(one), one, b"risk")
    assert dict(await fetch(database_url, VERDICTS)) == {signals[0].id: "spread_too_wide"}
    heir = store_at(database_url)
    await heir.open()
    await heir.flush()
    written = await fetch(database_url, "SELECT * FROM signals ORDER BY signal_id")
    assert [tuple(row) for row in written] == [signal_row(one, "accepted") for one in signals]
    await dead.close()  # it was only held up
    assert dict(await fetch(database_url, VERDICTS)) == dict.fromkeys(
        (one.id for one in signals), "accepted"
    )
    await heir.close()


async def test_a_rehearsed_commit_writes_nothing(database_url: str) -> None:
    store = store_at(database_url)
    await store.open()
    signal = make_signal(1)
    await store.commit_intent(make_entry(signal), signal, b"risk")
    written = "SELECT xmin, sequence, hash FROM audit_head"
    (before,) = await fetch(database_url, written)
    for _ in range(3):
        await store.rehearse()
    assert await fetch(database_url, written) == [before]
    assert (await store.totals("")).intents == 0
    assert (await store.totals(ACCOUNT)).intents == 1
    await store.close()


async def test_closing_writes_what_is_queued(database_url: str) -> None:
    store = store_at(database_url)
    await store.open()
    await store.record_events(quotes(0, 10))
    await store.close()
    await store.close()
    assert (await fetch(database_url, "SELECT count(*) FROM ticks"))[0][0] == 10
