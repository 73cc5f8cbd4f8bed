"""What the `sepd data` commands share: their folder, its lock, the services, the printing."""

from __future__ import annotations

import asyncio
import fcntl
import random
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import typer
import uvloop
from msgspec import to_builtins
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sepd import log
from sepd.broker.oanda.client import OandaBroker
from sepd.cli.options import print_json
from sepd.clock import SystemClock
from sepd.domain.market import Instrument
from sepd.domain.time import parse_time
from sepd.errors import ConfigError, InputError
from sepd.history.dataset import Dataset, datasets
from sepd.history.download import Progress as Downloaded
from sepd.history.load import load_into
from sepd.risk.day import trading_day
from sepd.settings import Settings
from sepd.settings_sources import load_settings
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.migrate import migrate
from sepd.storage.postgres import PostgresStore

FOREVER_NS = 1 << 62


def data_settings(config: Path | None, as_json: bool) -> Settings:
    """The settings, and logs as they ask for; with `--json` only warnings."""
    settings = load_settings(config)
    log.configure(settings.log.format, "warning" if as_json else settings.log.level)
    return settings


def history_root(settings: Settings) -> Path:
    """Folder of all datasets."""
    return settings.data_dir / "history"


def chosen(settings: Settings, names: Sequence[str] | None) -> list[Dataset]:
    """Datasets by name, all where none is named."""
    known = {one.folder.name: one for one in datasets(history_root(settings))}
    if not known:
        raise InputError(
            f"No history in {history_root(settings)}: run sepd data download or import."
        )
    for name in names or []:
        if name not in known:
            raise InputError(f"No dataset {name}; there is {', '.join(known)}.")
    return [known[name] for name in names] if names else list(known.values())


def instant(text: str) -> int:
    """A day or an RFC 3339 time as UTC nanoseconds."""
    return parse_time(f"{text}T00:00:00Z" if len(text) == 10 else text)


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """One writer at a time.

    Raises:
        ConfigError: another sepd data writes here, or the folder is not writable.
    """
    root = history_root(settings)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / "lock").open("w")
    except OSError as error:
        raise ConfigError(f"{root}: cannot be written: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{root}: another sepd data is writing; wait for it.") from None
        yield


@contextmanager
def progress(unit: str, quiet: bool) -> Iterator[Callable[[Downloaded], None]]:
    """A bar on stderr while it is a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda _progress: None
        return
    columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, TextColumn("{task.fields[rows]:,} rows"), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task(unit, total=None, rows=0)
        yield lambda at: bar.update(task, completed=at.done, total=at.wanted, rows=at.candles)


def run[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on a fresh event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@asynccontextmanager
async def open_broker(settings: Settings) -> AsyncIterator[OandaBroker]:
    """The broker of the settings."""
    rng = random.Random()  # noqa: S311 - jitter of retries
    broker = OandaBroker(settings.broker, SystemClock(), rng)
    await broker.open()
    try:
        yield broker
    finally:
        await broker.close()


@asynccontextmanager
async def open_store(settings: Settings, instrument: Instrument) -> AsyncIterator[PostgresStore]:
    """The database of the settings, or the embedded one, with its writer running."""
    async with AsyncExitStack() as stack:
        url = settings.database.url.get_secret_value()
        if not url:
            own = EmbeddedPostgres(settings.data_dir / "postgres")
            url = (await stack.enter_async_context(own)).url
        await migrate(url)
        store = PostgresStore(
            url,
            instruments={instrument.name: instrument},
            trading_day=trading_day,
            clock=SystemClock(),
            timeout_s=settings.database.timeout_s,
            queue_rows=settings.database.queue_rows,
        )
        await store.open()
        stack.push_async_callback(store.close)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        writer = tasks.create_task(store.run())
        try:
            yield store
        finally:
            writer.cancel()


async def stored(settings: Settings, dataset: Dataset, window: tuple[int, int]) -> int:
    """Load a window of a dataset into the database; returns the candles written."""
    async with open_store(settings, dataset.instrument) as store:
        return await load_into(store, dataset, *window)


def show_report(report: Sequence[Any], as_json: bool) -> None:
    """One JSON document, or a line for each entry."""
    if as_json:
        print_json(report)
        return
    for one in report:
        fields = to_builtins(one, enc_hook=str)
        text = ", ".join(f"{key} {_text(value)}" for key, value in fields.items() if value != "")
        typer.echo(text)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{count} {name}" for name, count in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return "; ".join(" ".join(map(str, one.values())) for one in value) or "none"
    return str(value)
