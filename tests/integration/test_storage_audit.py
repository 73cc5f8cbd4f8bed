"""What can be checked later: the audit chain, versions of the settings, backups."""

from __future__ import annotations

import json
from pathlib import Path

import asyncpg
import pytest

from sepd.errors import ConfigError
from sepd.storage.audit import verify_audit
from sepd.storage.backup import backup, restore
from sepd.storage.postgres import PostgresStore
from sepd.storage.registry import known_config, record_config
from tests.support.storage import candle, store_at
from tests.support.trading import ACCOUNT, make_entry, make_signal


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
    postgres_store: PostgresStore, database_url: str, statement: str, first_bad: int
) -> None:
    for number in range(3):
        await postgres_store.record_kill(ACCOUNT, f"reason {number}")
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


async def test_a_version_of_the_settings_is_kept_as_it_first_was(database_url: str) -> None:
    assert await known_config(database_url, "abc") is None
    await record_config(database_url, "abc", '{"role": "all"}')
    await record_config(database_url, "abc", "{}")
    assert json.loads(await known_config(database_url, "abc") or "") == {"role": "all"}


async def test_a_backup_restores_everything(
    postgres_store: PostgresStore, database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    await postgres_store.record_candles([candle(n) for n in range(10)], "tape")
    signal_ = make_signal(1)
    await postgres_store.commit_intent(make_entry(signal_), signal_, b"risk")
    await postgres_store.flush()
    file = tmp_path / "all.dump"
    assert await backup(database_url, file) == file.stat().st_size
    await restore(empty_database_url, file)
    again = store_at(empty_database_url)
    await again.open()
    assert await again.totals(ACCOUNT) == await postgres_store.totals(ACCOUNT)
    assert await again.load_state(ACCOUNT) == await postgres_store.load_state(ACCOUNT)
    await again.close()
    with pytest.raises(ConfigError, match="holds sepd's tables already"):
        await restore(empty_database_url, file)
