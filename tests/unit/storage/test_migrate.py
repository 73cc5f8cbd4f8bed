"""Migrations: from empty to the written schema, and refusals."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path

import asyncpg
import pytest

from sepd.errors import ConfigError, InvariantViolated
from sepd.resources import data_dir
from sepd.storage.migrate import Migration, load_migrations, migrate, pending
from tests.support.schema import dump_schema

FIRST = Migration(1, "one", "a" * 64)
SECOND = Migration(2, "two", "b" * 64)


async def query(url: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        found: list[asyncpg.Record] = await connection.fetch(statement)
        return found
    finally:
        await connection.close()


async def test_migrations_from_empty_give_the_written_schema(database_url: str) -> None:
    written = (data_dir("migrations") / "schema.sql").read_text("utf-8")
    assert await dump_schema(database_url) == written


async def test_the_written_schema_can_be_executed(empty_database_url: str) -> None:
    written = (data_dir("migrations") / "schema.sql").read_text("utf-8")
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute(written)
    finally:
        await connection.close()
    assert await dump_schema(empty_database_url) == written


async def test_a_second_run_changes_nothing(empty_database_url: str) -> None:
    assert len(await migrate(empty_database_url)) == len(load_migrations())
    assert await migrate(empty_database_url) == []


async def test_two_at_once_apply_each_migration_once(empty_database_url: str) -> None:
    done = await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, len(load_migrations())]


async def test_a_failing_migration_leaves_nothing(empty_database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(data_dir("migrations"), folder)
    last = len(load_migrations())
    broken = folder / f"{last + 1:04}_broken.sql"
    broken.write_text("CREATE TABLE half (a integer); SELECT 1 / 0;")
    with pytest.raises(InvariantViolated, match="division by zero"):
        await migrate(empty_database_url, folder)
    assert await query(empty_database_url, "SELECT to_regclass('half') AS half") == [(None,)]
    broken.write_text("CREATE TABLE whole (a integer);")
    assert [m.name for m in await migrate(empty_database_url, folder)] == ["broken"]


async def test_a_migration_outside_a_transaction_is_repeated_after_a_failure(
    empty_database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(data_dir("migrations"), folder)
    last = len(load_migrations())
    file = folder / f"{last + 1:04}_index.sql"
    text = (
        "-- sepd: outside a transaction\n"
        "DROP INDEX CONCURRENTLY IF EXISTS fills_price;\n"
        "CREATE INDEX CONCURRENTLY fills_price ON fills (price);\n"
    )
    file.write_text(text + "SELECT 1 / 0;\n")
    with pytest.raises(InvariantViolated, match="division by zero"):
        await migrate(empty_database_url, folder)
    file.write_text(text)
    assert [m.name for m in await migrate(empty_database_url, folder)] == ["index"]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'fills_price'::regclass"
    assert await query(empty_database_url, valid) == [(True,)]


def test_a_newer_database_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"0002 \(two\), which this program does not know"):
        pending([FIRST], [FIRST, SECOND])


def test_an_edited_migration_is_refused() -> None:
    edited = Migration(1, "one", hashlib.sha256(b"edited").hexdigest())
    with pytest.raises(ConfigError, match=r"0001_one\.sql differs from what was applied"):
        pending([edited, SECOND], [FIRST])


def test_only_what_is_missing_is_pending() -> None:
    assert pending([FIRST, SECOND], [FIRST]) == [SECOND]


@pytest.mark.parametrize("names", [["0001_a.sql", "0003_c.sql"], ["0002_b.sql"], []])
def test_gaps_in_the_numbers_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(ConfigError, match="without a gap"):
        load_migrations(tmp_path)
