"""Composition root: the only file that names concrete classes.

Store → cache → broker are opened in this order and closed in reverse.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import structlog

from sepd.affinity import bind, gpu_placement
from sepd.broker.oanda.client import OandaBroker
from sepd.cache.embedded import EmbeddedRedis
from sepd.cache.valkey import ValkeyCache
from sepd.clock import SystemClock
from sepd.domain.market import Instrument
from sepd.errors import ConfigError, SepdError
from sepd.execution.exits import ExitFile
from sepd.node import Node
from sepd.outside import Outside
from sepd.paper import PaperBroker
from sepd.ports import Broker, Clock
from sepd.risk.day import trading_day
from sepd.settings import Settings
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.faults import check_url
from sepd.storage.leader import LeaderLock
from sepd.storage.migrate import migrate
from sepd.storage.postgres import PostgresStore
from sepd.storage.registry import record_config

log = structlog.get_logger(__name__)


@asynccontextmanager
async def services(settings: Settings) -> AsyncIterator[tuple[str, str]]:
    """Addresses of database and cache; those that the settings do not name are started here."""
    async with AsyncExitStack() as stack:
        database = settings.database.url.get_secret_value()
        if not database:
            own = EmbeddedPostgres(settings.data_dir / "postgres")
            database = (await stack.enter_async_context(own)).url
        check_url(database)
        cache = settings.cache.url.get_secret_value()
        if not cache:
            server = EmbeddedRedis(settings.data_dir / "valkey")
            cache = (await stack.enter_async_context(server)).url
        yield database, cache


@asynccontextmanager
async def open_node(
    settings: Settings, *, database: str, cache: str, clock: Clock, paced: bool = False
) -> AsyncIterator[Node]:
    """Open store, cache and broker, in this order, and close them in reverse."""
    if settings.bitspace.backend != "numpy":
        bind(gpu_placement())
    timer = SystemClock()
    rng = random.Random()  # noqa: S311 - jitter of retries
    await migrate(database)
    await record_config(database, settings.version, settings.model_dump_json())
    oanda = OandaBroker(settings.broker, clock, rng, paced=paced)
    broker = _account(settings, oanda, clock)
    instruments: dict[str, Instrument] = {}
    async with AsyncExitStack() as stack:
        stack.push_async_callback(broker.close)
        store = PostgresStore(
            database,
            instruments=instruments,
            trading_day=trading_day,
            clock=clock,
            pool=settings.database.pool,
            timeout_s=settings.database.timeout_s,
            queue_rows=settings.database.queue_rows,
        )
        await store.open()
        stack.push_async_callback(store.close)
        valkey = ValkeyCache(
            cache,
            timeout_s=settings.cache.timeout_s,
            series_length=settings.cache.series_length,
        )
        await valkey.open()
        stack.push_async_callback(valkey.close)
        outside = Outside(
            broker=broker,
            store=store,
            cache=valkey,
            clock=clock,
            timer=timer,
            rng=rng,
            instruments=instruments,
            paced=paced,
            skew_ns=lambda: oanda.offset.offset_ns or 0,
            leader=None if paced else _leader(settings, database, broker, timer),
            exits=ExitFile(settings.data_dir.absolute() / "exits.jsonl"),
        )
        yield Node(settings, outside, control=control_socket(settings))


def control_socket(settings: Settings) -> Path:
    """Where `sepd ctl` finds the daemon of these settings."""
    return settings.data_dir.absolute() / "control.sock"


def _leader(settings: Settings, database: str, broker: Broker, timer: Clock) -> LeaderLock:
    """One sender per account; a successor waits until our last request must have ended."""
    takeover_s = settings.broker.timeout_s + 1.0
    return LeaderLock(database, broker.account_id, timer, takeover_s=takeover_s)


def _account(settings: Settings, oanda: OandaBroker, clock: Clock) -> Broker:
    """Where orders go: OANDA, or an account on paper that lives off its prices."""
    if settings.mode != "paper":
        return oanda
    return PaperBroker(oanda, clock, settings.paper.balance, settings.paper.currency)


@contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop` while the context is open."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def run_daemon(settings: Settings, clock: Clock) -> None:
    """The daemon as a service: until SIGTERM or SIGINT."""
    _check_mode(settings)
    stop = asyncio.Event()
    with stop_on_signals(stop):
        async with (
            services(settings) as (database, cache),
            open_node(settings, database=database, cache=cache, clock=clock) as node,
        ):
            try:
                await node.run(stop)
            except* SepdError as group:
                log.error("daemon_failed", reasons=list(_sentences(group)))
                raise


def _sentences(group: BaseExceptionGroup[SepdError]) -> Iterator[str]:
    """What went wrong, task by task: closing what is open may fail too and hide it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _sentences(error)
        else:
            yield str(error)


def _check_mode(settings: Settings) -> None:
    """Refuse what this version must not, or cannot, do."""
    if settings.role != "all":
        raise ConfigError(
            f'role = {settings.role!r}: this version has no signed signal files yet; use "all".'
        )
    if settings.mode == "live":
        raise ConfigError(
            'mode = "live" needs [live] confirm = "<account id>" and a passed evaluation, '
            'and this version cannot evaluate yet; use "practice" or "paper".'
        )
    if settings.mode == "practice" and settings.broker.environment == "live":
        raise ConfigError('mode = "practice" does not go with broker.environment = "live".')
