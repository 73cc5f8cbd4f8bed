"""The store against real PostgreSQL: what is refused at the door, and what is kept."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
import pytest_asyncio

from sepd.clock import EventClock
from sepd.domain.account import BalanceChanged, OrderFilled, TradeOpen
from sepd.domain.event import MarketEvent
from sepd.domain.market import Candle, Granularity, Quote
from sepd.errors import ConfigError, InvariantViolated, TransientError
from sepd.storage.audit import verify_audit
from sepd.storage.backup import backup, restore
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.migrate import migrate
from sepd.storage.postgres import PostgresStore
from sepd.storage.upkeep import forget
from tests.support.servers import UNSAFE, execute
from tests.support.trading import ACCOUNT, NOON, PAIRS, S, make_entry, make_signal
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
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    one = store_at(database_url)
    await one.open()
    yield one
    await one.close()


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A migrated server of the test's own, to be mistreated."""
    async with EmbeddedPostgres(tmp_path / "own", UNSAFE) as one:
        await migrate(one.url)
        yield one


@pytest_asyncio.fixture
async def proxy(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[UnixProxy, str]]:
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


async def test_a_server_that_is_away_is_a_sentence() -> None:
    with pytest.raises(TransientError, match=r"sepd:\[redacted\]@127.0.0.1:1/sepd cannot be reach"):
        await store_at("postgresql://sepd:hunter2@127.0.0.1:1/sepd").open()


async def test_a_database_that_is_missing_is_a_sentence(database_url: str) -> None:
    wrong = database_url.replace("/test_", "/no_such_")
    with pytest.raises(ConfigError, match=r"does not exist\. Create the database"):
        await store_at(wrong).open()


async def test_a_wrong_password_is_a_sentence_without_it(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    await execute(server, "CREATE ROLE guest LOGIN PASSWORD 'right'")
    (tmp_path / "own" / "data" / "pg_hba.conf").write_text("local all all scram-sha-256\n")
    psutil.Process(server.pid).send_signal(signal.SIGHUP)
    url = server.url.replace("sepd@", "guest:hunter2@", 1)
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


async def test_published_tables_hold_decimals(store: PostgresStore, database_url: str) -> None:
    await store.record_candles([candle(0)], "tape")
    await store.flush()
    row = (await fetch(database_url, "SELECT * FROM market_data"))[0]
    assert (row["pair"], row["granularity"], row["source"]) == ("EUR_USD", "M1", "tape")
    assert [str(row[n]) for n in ("open", "high", "low", "close")] == [
        "1.100025", "1.100115", "1.099935", "1.100035",
    ]  # fmt: skip


async def test_a_candle_is_stored_once_as_it_came_first(store: PostgresStore) -> None:
    await store.record_candles([candle(0), candle(1)], "tape")
    await store.flush()
    await store.record_candles([candle(1, 200_000), candle(2), candle(2)], "tape")
    await store.flush()
    found = await store.candles("EUR_USD", Granularity.M1, NOON, NOON + 3600 * S)
    assert list(found) == [candle(0), candle(1), candle(2)]


async def test_candles_of_forty_years_find_their_partitions(store: PostgresStore) -> None:
    years = [candle(525_960 * year) for year in range(-17, 24)]
    await store.record_candles(years, "tape")
    await store.flush()
    assert list(await store.candles("EUR_USD", Granularity.M1, 0, 1 << 62)) == years


async def test_old_months_can_be_forgotten(store: PostgresStore, database_url: str) -> None:
    months = [
        MarketEvent(n, n, Quote("EUR_USD", NOON + n * 31 * 86_400 * S, 1, 2)) for n in range(4)
    ]
    await store.record_events(months)
    await store.flush()
    connection = await asyncpg.connect(database_url)
    assert await forget(connection, NOON + 40 * 86_400 * S) == 1
    await connection.close()
    assert (await store.totals(ACCOUNT)).ticks == 3


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


async def test_closing_writes_what_is_queued(database_url: str) -> None:
    store = store_at(database_url)
    await store.open()
    await store.record_events(quotes(0, 10))
    await store.close()
    await store.close()
    assert (await fetch(database_url, "SELECT count(*) FROM ticks"))[0][0] == 10


async def test_a_lost_answer_to_a_batch_doubles_nothing(proxy: tuple[UnixProxy, str]) -> None:
    line, url = proxy
    store = store_at(url)
    await store.open()
    await store.record_events(quotes(0, 100))
    line.lose_reply_to = b"COMMIT"
    with pytest.raises(TransientError):
        await store.flush()
    assert store.fault
    await store.flush()
    assert (line.lost, store.fault) == (1, "")
    assert (await store.totals(ACCOUNT)).ticks == 100
    await store.close()


async def test_the_writer_goes_on_by_itself_after_cuts(proxy: tuple[UnixProxy, str]) -> None:
    line, url = proxy
    store = store_at(url)
    await store.open()
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(store.run())
        for first in range(0, 5_000, 100):
            await store.record_events(quotes(first, 100))
            await store.record_candles([candle(first)], "tape")
            if first % 500 == 0:
                line.cut()
            await asyncio.sleep(0)
        await store.flush()
        writer.cancel()
    totals = await store.totals(ACCOUNT)
    assert (totals.ticks, totals.candles) == (5_000, 50)
    await store.close()


async def test_a_lost_answer_to_an_intent_is_looked_up(proxy: tuple[UnixProxy, str]) -> None:
    line, url = proxy
    store = store_at(url)
    await store.open()
    signal_, other = make_signal(1), make_signal(2)
    await store.commit_intent(make_entry(signal_), signal_, b"risk")
    line.lose_reply_to = make_entry(other).id.encode()
    await store.commit_intent(make_entry(other), other, b"risk")
    assert line.lost == 1
    assert len((await store.load_state(ACCOUNT)).orders) == 2
    with pytest.raises(InvariantViolated, match="exists already"):
        await store.commit_intent(make_entry(other), other, b"risk")
    await store.close()


async def test_an_event_is_applied_wholly_or_not_at_all(proxy: tuple[UnixProxy, str]) -> None:
    line, url = proxy
    store = store_at(url)
    await store.open()
    signal_ = make_signal(1)
    intent = make_entry(signal_)
    await store.commit_intent(intent, signal_, b"risk")
    fill = OrderFilled(
        1, NOON, 1, "EUR_USD", Decimal(1000), 110_000, "MARKET_ORDER", Decimal(0), Decimal(0),
        Decimal(0), Decimal(50_000), intent.id, opened=TradeOpen(1, Decimal(1000), 110_000),
    )  # fmt: skip
    for statement in (b"INSERT INTO fills", b"INSERT INTO trading_results"):
        line.lose_reply_to = statement
        with pytest.raises(TransientError):
            await store.apply_account_event(ACCOUNT, fill)
        state = await store.load_state(ACCOUNT)
        assert (state.balance, state.positions, state.last_transaction_id) == (None, (), 0)
    assert await store.apply_account_event(ACCOUNT, fill)
    assert not await store.apply_account_event(ACCOUNT, fill)
    assert [position.trade_id for position in (await store.load_state(ACCOUNT)).positions] == [1]
    await store.close()


async def test_orders_kills_and_transactions_do_not_undo_each_other(store: PostgresStore) -> None:
    async def send() -> None:
        for number in range(40):
            signal_ = make_signal(number)
            await store.commit_intent(make_entry(signal_), signal_, b"risk")

    async def follow() -> None:
        for number in range(1, 41):
            event = BalanceChanged(number, NOON, "FEE", Decimal(-1), Decimal(100 - number))
            await store.apply_account_event(ACCOUNT, event)

    async def kill_switch() -> None:
        for number in range(40):
            await store.record_kill(ACCOUNT, f"reason {number}")

    async with asyncio.TaskGroup() as tasks:
        for work in (send(), follow(), kill_switch()):
            tasks.create_task(work)
    state = await store.load_state(ACCOUNT)
    assert (state.killed, state.balance, len(state.orders)) == ("reason 39", Decimal(60), 40)
    assert state.last_transaction_id == 40


async def test_all_that_was_acknowledged_survives_a_killed_server(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path) as server:
        await migrate(server.url)
        store = store_at(server.url)
        await store.open()
        for number in range(20):
            signal_ = make_signal(number)
            await store.commit_intent(make_entry(signal_), signal_, b"risk")
        await store.record_events(quotes(0, 100))
        await store.flush()
        await kill(server)
        with pytest.raises(TransientError):
            await store.commit_intent(make_entry(make_signal(99)), make_signal(99), b"risk")
        await store.close()
    async with EmbeddedPostgres(tmp_path) as server:
        store = store_at(server.url)
        await store.open()
        totals = await store.totals(ACCOUNT)
        assert (totals.intents, totals.ticks) == (20, 100)
        await store.close()


async def test_a_frozen_server_is_a_fault_within_the_deadline(server: EmbeddedPostgres) -> None:
    store = store_at(server.url, timeout_s=0.3)
    await store.open()
    held = processes(server)
    for process in held:
        process.suspend()
    try:
        with pytest.raises(TransientError, match="did not answer in time"):
            await store.commit_intent(make_entry(make_signal(1)), make_signal(1), b"risk")
        with pytest.raises(TransientError, match="did not answer in time"):
            await store.load_state(ACCOUNT)
        await store.record_events(quotes(0, 1))
        with pytest.raises(TransientError, match="did not answer in time"):
            await store.flush()
        assert store.fault
    finally:
        for process in held:
            process.resume()
    await store.flush()
    assert store.fault == ""
    assert (await store.totals(ACCOUNT)).ticks == 1
    await store.close()


async def test_rows_that_cannot_be_written_at_the_end_are_counted(
    server: EmbeddedPostgres,
) -> None:
    store = store_at(server.url, timeout_s=0.5)
    await store.open()
    await store.record_events(quotes(0, 7))
    psutil.Process(server.pid).send_signal(signal.SIGQUIT)
    with pytest.raises(TransientError, match="7 rows could not be written"):
        await store.close()


@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [
        ("UPDATE audit_log SET body = 'x' WHERE sequence = 2", 2),
        ("UPDATE audit_log SET time_ns = 0 WHERE sequence = 2", 2),
        ("UPDATE audit_log SET sequence = 99 WHERE sequence = 2", 2),
        ("DELETE FROM audit_log WHERE sequence = 2", 2),
        ("DELETE FROM audit_log WHERE sequence = 3", 3),
        ("DELETE FROM audit_log", 1),
    ],
)
async def test_an_altered_audit_log_is_found(
    store: PostgresStore, database_url: str, statement: str, first_bad: int
) -> None:
    for number in range(3):
        await store.record_kill(ACCOUNT, f"reason {number}")
    connection = await asyncpg.connect(database_url)
    try:
        assert (await verify_audit(connection)).ok
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="insert-only"):
            await connection.execute(statement)
        await connection.execute("ALTER TABLE audit_log DISABLE TRIGGER ALL")
        await connection.execute(statement)
        report = await verify_audit(connection)
    finally:
        await connection.close()
    assert report.first_bad == first_bad


async def test_a_backup_restores_everything(
    store: PostgresStore, database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    await store.record_candles([candle(n) for n in range(10)], "tape")
    signal_ = make_signal(1)
    await store.commit_intent(make_entry(signal_), signal_, b"risk")
    await store.flush()
    file = tmp_path / "all.dump"
    assert await backup(database_url, file) == file.stat().st_size
    await restore(empty_database_url, file)
    again = store_at(empty_database_url)
    await again.open()
    assert await again.totals(ACCOUNT) == await store.totals(ACCOUNT)
    assert await again.load_state(ACCOUNT) == await store.load_state(ACCOUNT)
    await again.close()
    with pytest.raises(ConfigError, match="holds sepd's tables already"):
        await restore(empty_database_url, file)
