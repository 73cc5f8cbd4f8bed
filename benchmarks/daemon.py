"""The daemon's loop as the node wires it, for benchmarks: 28 instruments, wide limits, S5 candles.

The rule's thresholds are so low that it leans at nearly every close. The clock of decisions stands
at the quotes' times, so that a benchmark may play them faster than they were quoted.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from msgspec import Struct
from pydantic import SecretStr

from benchmarks.answering import ACCOUNT
from benchmarks.market import NAMES, PAIRS, START_NS
from sepd.broker.oanda.client import OandaBroker
from sepd.cache.embedded import EmbeddedRedis
from sepd.cache.valkey import ValkeyCache
from sepd.clock import EventClock, SystemClock
from sepd.decide import Decider
from sepd.domain.market import Granularity
from sepd.execution.executor import Executor
from sepd.execution.ledger import Ledger
from sepd.execution.reconcile import recover
from sepd.feed import EventQueue, TransactionFeed
from sepd.journal import Journal, JournaledLedger
from sepd.market.calendar import load_calendar
from sepd.pipeline import Pipeline
from sepd.ports import Cache, Clock, Store
from sepd.risk.book import Book
from sepd.settings import (
    BitspaceSettings,
    BrokerSettings,
    MarketSettings,
    RiskSettings,
    RuleSettings,
)
from sepd.signals.rule import PolarityRule
from sepd.signals.view import view_market
from sepd.simulation.cache import ForgetfulCache

CONNECTIONS = 11  # one for each worker of the executor, and the transaction stream
FINEST = Granularity.S5
MARKET = MarketSettings(base=FINEST, granularities=(Granularity.M1, Granularity.M5))
RULE = RuleSettings(
    granularities=(FINEST,),
    polarity_min=Decimal(0),
    coherence_min=Decimal(0),
    stability_min=Decimal(0),
    entropy_max=Decimal(1),
    validity_candles=12,
)
WIDE = Decimal(10**9)
LIMITS = RiskSettings(
    risk_per_trade=Decimal("0.0001"),
    price_bound_pips=Decimal(1_000),
    max_jump_pips=WIDE,
    max_spread_pips=Decimal(100),
    max_positions=10**9,
    max_positions_per_instrument=10**9,
    max_correlated=10**9,
    max_orders_per_minute=1_000,
    max_fills_per_hour=1_000,
    max_daily_loss=Decimal(1),
    max_drawdown=Decimal(1),
    max_gross_leverage=WIDE,
    max_net_leverage=WIDE,
    max_currency_leverage=WIDE,
    max_margin_use=Decimal(1),
)


class Loop(Struct):
    """What runs."""

    queue: EventQueue
    pipeline: Pipeline
    executor: Executor
    feed: TransactionFeed
    store: Store
    cache: Cache

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything runs until the context ends; then what has arrived is settled."""
        async with asyncio.TaskGroup() as group:
            work = (self.store, self.cache, self.executor, self.feed)
            tasks = [group.create_task(one.run()) for one in work]
            tasks.append(group.create_task(self.pipeline.run(MARKET.batch_events)))
            tasks.append(group.create_task(self.pipeline.keep_journal()))
            yield
            await self.queue.wait_processed(self.queue.last_sequence)
            await self.executor.drain()
            await self.pipeline.write_journal()
            await self.store.flush()
            for task in tasks:
                task.cancel()


async def assemble(
    broker: OandaBroker,
    store: Store,
    cache: Cache,
    queue: EventQueue,
    executor_of: Callable[[OandaBroker, Store, Clock, Ledger], Executor],
    rule: RuleSettings = RULE,
) -> Loop:
    """The daemon's parts, wired as the node wires them, after recovery."""
    clock = EventClock(START_NS)
    await broker.open()
    await asyncio.gather(*(broker.account() for _ in range(CONNECTIONS)))
    recovery = await recover(broker, store)
    calendar = load_calendar()
    for name in NAMES:
        calendar.session(name, START_NS)
    book = Book("USD", await broker.instruments(), LIMITS, calendar)
    book.restore(recovery.snapshot, recovery.state, START_NS)
    book.ready = True
    journal = Journal()
    executor = executor_of(broker, store, clock, JournaledLedger(book, journal))
    decider = Decider(
        views=view_market(PAIRS, NAMES, MARKET, BitspaceSettings(), streamed=True),
        book=book,
        rule=PolarityRule(rule),
        limits=LIMITS,
        config_version="0" * 12,
        account_id=ACCOUNT,
    )
    pipeline = Pipeline(
        queue=queue,
        decider=decider,
        executor=executor,
        journal=journal,
        store=store,
        cache=cache,
        clock=clock,
        stale=lambda _: False,
        skew_ns=lambda: 0,
        on_time=clock.advance,
        on_progress=lambda _: None,
        timer=SystemClock(),
    )
    return Loop(queue, pipeline, executor, TransactionFeed(broker, queue, 0), store, cache)


@asynccontextmanager
async def answering() -> AsyncIterator[str]:
    """Address of the broker, a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.answering"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def caching(folder: Path, wanted: bool) -> AsyncIterator[Cache]:
    """The real cache on a server of its own, or none."""
    if not wanted:
        yield ForgetfulCache()
        return
    async with EmbeddedRedis(folder / "redis") as server:
        cache = ValkeyCache(server.url)
        await cache.open()
        yield cache
        await cache.close()


def settings(url: str) -> BrokerSettings:
    """The broker at `url`."""
    return BrokerSettings(
        api_key=SecretStr("none"), account_id=ACCOUNT, rest_url=url, connections_per_s=2
    )
