"""`sepd db`: migrations, the state of the database, backup and restore."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import asyncpg
import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from sepd.cli.options import AsJson, ConfigFile, print_json
from sepd.clock import SystemClock
from sepd.domain.market import Granularity
from sepd.settings import Settings
from sepd.settings_sources import load_settings
from sepd.storage.audit import AuditReport, verify_audit
from sepd.storage.backup import backup as write_backup
from sepd.storage.backup import restore as read_backup
from sepd.storage.embedded import EmbeddedPostgres, running_url
from sepd.storage.faults import database_errors, redact_url
from sepd.storage.migrate import Migration, applied_migrations, load_migrations, pending
from sepd.storage.migrate import migrate as apply_migrations
from sepd.storage.queries import QUERIES
from sepd.storage.upkeep import Refreshed, forget
from sepd.storage.upkeep import refresh as refresh_derived

app = typer.Typer(help="The database.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


class DatabaseStatus(Struct, frozen=True):
    """What `sepd db status` says."""

    url: str
    server: str
    timescaledb: bool
    applied: list[str]
    pending: list[str]
    size_bytes: int
    audit: AuditReport | None

    @property
    def ok(self) -> bool:
        """Whether the daemon can run on it."""
        return not self.pending and self.audit is not None and self.audit.ok


@app.command("migrate")
def migrate(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Bring the schema up to date; safe to repeat."""
    done = [f"{m.version:04}_{m.name}" for m in asyncio.run(_migrate(load_settings(config)))]
    if as_json:
        print_json({"applied": done})
    else:
        typer.echo("\n".join(f"applied {name}" for name in done) or "The schema is up to date.")


@app.command("status")
def status(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show schema and audit chain; exit 1 when migrations are missing or the chain is broken."""
    found = asyncio.run(_status(load_settings(config)))
    if as_json:
        print_json(msgspec.structs.asdict(found) | {"ok": found.ok})
    else:
        Console().print(_table(found))
    raise typer.Exit(0 if found.ok else 1)


@app.command("refresh")
def refresh(
    config: ConfigFile = None,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="As if all had changed.")] = False,
    keep_days: Annotated[
        int | None, typer.Option(min=1, help="Drop whole months of older ticks and journal.")
    ] = None,
) -> None:
    """Bring roll-ups, packed months and daily performance up to date; the daemon may run on."""
    done, dropped = asyncio.run(_refresh(load_settings(config), everything, keep_days))
    if as_json:
        print_json(msgspec.structs.asdict(done) | {"dropped": dropped})
    else:
        typer.echo(
            f"{done.days} days rolled up, {done.blocks} months packed, {dropped} months dropped"
        )


@app.command("backup")
def backup(file: File, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Write the whole database to FILE; the daemon may go on running."""
    size = asyncio.run(_backup(load_settings(config), file))
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        typer.echo(f"{file}: {size} bytes")


@app.command("restore")
def restore(file: File, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Fill an empty database from FILE, all or nothing; exit 1 if its audit chain is broken."""
    report = asyncio.run(_restore(load_settings(config), file))
    if as_json:
        print_json(report)
    else:
        typer.echo(f"restored; audit chain of {report.rows} rows {_chain(report)}")
    raise typer.Exit(0 if report.ok else 1)


@asynccontextmanager
async def database_url(settings: Settings) -> AsyncIterator[str]:
    """The database of the settings: theirs, the one a running sepd carries, or the embedded one."""
    folder = settings.data_dir / "postgres"
    url = settings.database.url.get_secret_value() or running_url(folder)
    if url:
        yield url
        return
    async with EmbeddedPostgres(folder) as server:
        yield server.url


async def _migrate(settings: Settings) -> list[Migration]:
    async with database_url(settings) as url:
        return await apply_migrations(url)


async def _status(settings: Settings) -> DatabaseStatus:
    async with database_url(settings) as url, _connected(url, settings) as connection:
        return await _examine(connection, url)


async def _examine(connection: asyncpg.Connection, url: str) -> DatabaseStatus:
    applied = await applied_migrations(connection)
    todo = pending(load_migrations(), applied)
    server = await connection.fetchrow(QUERIES["server"])
    return DatabaseStatus(
        url=redact_url(url),
        server=server["version"],
        timescaledb=server["timescaledb"],
        applied=[f"{m.version:04}_{m.name}" for m in applied],
        pending=[f"{m.version:04}_{m.name}" for m in todo],
        size_bytes=server["size_bytes"],
        audit=None if todo else await verify_audit(connection),
    )


async def _refresh(
    settings: Settings, everything: bool, keep_days: int | None
) -> tuple[Refreshed, int]:
    now_ns = SystemClock().now_ns()
    async with database_url(settings) as url, _connected(url, settings) as connection:
        done = await refresh_derived(connection, now_ns, everything=everything)
        if keep_days is None:
            return done, 0
        return done, await forget(connection, now_ns - keep_days * Granularity.D.ns)


async def _backup(settings: Settings, file: Path) -> int:
    async with database_url(settings) as url:
        return await write_backup(url, file)


async def _restore(settings: Settings, file: Path) -> AuditReport:
    async with database_url(settings) as url:
        await read_backup(url, file)
        async with _connected(url, settings) as connection:
            return await verify_audit(connection)


@asynccontextmanager
async def _connected(url: str, settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    with database_errors(url):
        connection = await asyncpg.connect(url, timeout=settings.database.timeout_s)
        try:
            yield connection
        finally:
            await connection.close()


def _table(found: DatabaseStatus) -> Table:
    table = Table(title="Database", show_header=False)
    table.add_row("address", found.url)
    table.add_row("server", found.server)
    table.add_row("time series", "TimescaleDB" if found.timescaledb else "native partitions")
    table.add_row("size", f"{found.size_bytes / 2**20:.1f} MiB")
    table.add_row("schema", ", ".join(found.applied) or "empty")
    table.add_row("pending", ", ".join(found.pending) or "nothing")
    if found.audit:
        table.add_row("audit chain", f"{found.audit.rows} rows, {_chain(found.audit)}")
        table.add_row("audit head", found.audit.head)
    return table


def _chain(report: AuditReport) -> str:
    return "whole" if report.ok else f"BROKEN at row {report.first_bad}"
