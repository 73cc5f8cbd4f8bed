"""Backups by pg_dump and pg_restore of the wheel."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import asyncpg

from sepd.errors import ConfigError, InputError, TransientError
from sepd.storage.embedded import client_program
from sepd.storage.faults import database_errors, redact_url

_TIMEOUT_S = 3_600.0


async def backup(url: str, file: Path) -> int:
    """Write the whole database to `file` (pg_dump's custom format); returns its size in bytes.

    The file appears under its name only when it is complete and on the disk.

    Raises:
        ConfigError: the file cannot be written.
        TransientError: the database is away.
    """
    try:
        with _complete(file) as output:
            await _run("pg_dump", url, ["--format=custom", "--no-owner"], output=output)
        return file.stat().st_size  # noqa: ASYNC240 - one call
    except OSError as error:
        raise ConfigError(f"The backup {file} cannot be written: {error.strerror}.") from None


async def restore(url: str, file: Path) -> None:
    """Fill an empty database from a backup, all or nothing.

    Raises:
        InputError: the file is not a backup.
        ConfigError: the database is not empty.
        TransientError: the database is away.
    """
    _check_backup(file)
    await _check_empty(url)
    await _run(
        "pg_restore", url, ["--single-transaction", "--exit-on-error", "--no-owner", str(file)]
    )


@contextmanager
def _complete(file: Path) -> Iterator[int]:
    """A descriptor to write to; what was written takes the file's name when it is on the disk."""
    partial = file.with_name(file.name + ".partial")
    file.parent.mkdir(parents=True, exist_ok=True)
    output = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        yield output
        os.fsync(output)
        partial.rename(file)
    finally:
        os.close(output)
        partial.unlink(missing_ok=True)


def _check_backup(file: Path) -> None:
    try:
        with file.open("rb") as content:
            magic = content.read(5)
    except OSError as error:
        raise InputError(f"The backup {file} cannot be read: {error.strerror}.") from None
    if magic != b"PGDMP":
        raise InputError(f"{file} is not a backup that `sepd db backup` wrote.")


async def _check_empty(url: str) -> None:
    with database_errors(url):
        connection = await asyncpg.connect(url, timeout=10)
        try:
            known = await connection.fetchval("SELECT to_regclass('schema_migrations')")
        finally:
            await connection.close()
    if known is not None:
        raise ConfigError(
            f"{redact_url(url)} holds sepd's tables already. Restore into a new, empty database "
            "and name that in DATABASE_URL."
        )


async def _run(program: str, url: str, arguments: list[str], output: int = PIPE) -> None:
    """Run a client program; the password travels in its environment, never in its arguments."""
    address, environment = _without_password(url)
    process = await asyncio.create_subprocess_exec(
        str(client_program(program)),
        "--dbname",
        address,
        *arguments,
        stdout=output,
        stderr=PIPE,
        env=os.environ | environment,
    )
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            _, errors = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode != 0:
        words = " ".join(errors.decode("utf-8", "replace").split())
        raise TransientError(f"{program} of {redact_url(url)} failed: {words}")


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """The address with its password taken out, and the environment that carries it."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    password = query.pop("password", None) or unquote(parts.password or "")
    user = f"{parts.username}@" if parts.username else ""
    host = parts.netloc.rpartition("@")[2]
    address = parts._replace(netloc=user + host, query=urlencode(query)).geturl()
    return address, {"PGPASSWORD": password} if password else {}
