"""Forward-only migrations: numbered files, checksummed, one transaction each.

A file that begins with `-- sepd: outside a transaction` is executed statement by statement, for
index builds that must not lock out writers; its statements must bear being repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import asyncpg
from msgspec import Struct

from sepd.errors import ConfigError
from sepd.resources import data_dir
from sepd.storage.faults import database_errors

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_LOCK = 0x5E9D_0001
_POLL_S = 0.05
_OUTSIDE = "-- sepd: outside a transaction"
_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version  integer PRIMARY KEY,
    name     text NOT NULL,
    checksum text NOT NULL,
    applied  timestamptz NOT NULL DEFAULT now()
)"""


class Migration(Struct, frozen=True):
    """One step of the schema; `checksum` is the SHA-256 of its text."""

    version: int
    name: str
    checksum: str
    sql: str = ""


def load_migrations(folder: Path | None = None) -> list[Migration]:
    """The program's migrations, oldest first.

    Raises:
        ConfigError: a file's name is wrong, or a number is missing or used twice.
    """
    folder = folder or data_dir("migrations")
    found = []
    for file in sorted(folder.glob("[0-9]*.sql")):
        match = _FILE.fullmatch(file.name)
        if match is None:
            raise ConfigError(f"{file}: a migration is named 0001_words.sql.")
        text = file.read_text("utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        found.append(Migration(int(match[1]), match[2], digest, text))
    if [m.version for m in found] != list(range(1, len(found) + 1)) or not found:
        raise ConfigError(f"{folder}: migrations must be numbered 0001, 0002 … without a gap.")
    return found


def pending(known: Sequence[Migration], applied: Sequence[Migration]) -> list[Migration]:
    """Migrations still to apply.

    Raises:
        ConfigError: the database is newer than this program, or an applied one was edited.
    """
    by_version = {migration.version: migration for migration in known}
    for done in applied:
        ours = by_version.get(done.version)
        if ours is None:
            raise ConfigError(
                f"The database has migration {done.version:04} ({done.name}), which this program "
                "does not know. Install a newer sepd, or restore an older backup."
            )
        if ours.checksum != done.checksum:
            raise ConfigError(
                f"Migration {done.version:04}_{done.name}.sql differs from what was applied to "
                "the database. Restore the file; changes belong in a new migration."
            )
    last = max((migration.version for migration in applied), default=0)
    return [migration for migration in known if migration.version > last]


async def applied_migrations(connection: asyncpg.Connection) -> list[Migration]:
    """What the database says was applied, oldest first."""
    if not await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL"):
        return []
    rows = await connection.fetch(
        "SELECT version, name, checksum FROM schema_migrations ORDER BY version"
    )
    return [Migration(*row) for row in rows]


async def migrate(url: str, folder: Path | None = None, timeout_s: float = 60.0) -> list[Migration]:
    """Bring the database up to date and return what was applied.

    Other migrating processes wait; an interrupted migration leaves nothing behind.

    Raises:
        ConfigError: see `pending`; wrong credentials or database.
        TransientError: the database is away.
    """
    known = load_migrations(folder)
    with database_errors(url):
        connection = await asyncpg.connect(url, timeout=timeout_s)
        try:
            return await _migrate(connection, known)
        finally:
            await connection.close(timeout=timeout_s)


async def _migrate(connection: asyncpg.Connection, known: Sequence[Migration]) -> list[Migration]:
    # A waiting `pg_advisory_lock` would keep a snapshot, for which a concurrent index build waits.
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110
        await asyncio.sleep(_POLL_S)
    await connection.execute("SET client_min_messages = warning")
    todo = pending(known, await applied_migrations(connection))
    for migration in todo:
        if migration.sql.startswith(_OUTSIDE):
            await _apply_outside(connection, migration)
        else:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await _note(connection, migration)
    await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return todo


async def _apply_outside(connection: asyncpg.Connection, migration: Migration) -> None:
    """Statement by statement; each must bear being repeated, for it is after an interruption."""
    for statement in migration.sql.split(";\n"):
        if statement.strip():
            await connection.execute(statement)
    await _note(connection, migration)


async def _note(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.execute(_TABLE)
    await connection.execute(
        "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
        migration.version,
        migration.name,
        migration.checksum,
    )


async def check_schema(connection: asyncpg.Connection, known: Sequence[Migration]) -> None:
    """Refuse a database whose schema is not exactly this program's.

    Raises:
        ConfigError: it is older (run `sepd db migrate`), newer, or edited.
    """
    todo = pending(known, await applied_migrations(connection))
    if todo:
        raise ConfigError(
            f"The database lacks {len(todo)} of {len(known)} migrations, the first is "
            f"{todo[0].version:04}_{todo[0].name}. Run `sepd db migrate`."
        )
