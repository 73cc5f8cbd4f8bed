"""Client and feeds against the practice venue and its scripted faults, in virtual time."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from sepd.broker.oanda import OandaBroker
from sepd.broker.oanda.requests import MarketOrder
from sepd.domain.market import Granularity
from sepd.domain.time import format_time
from sepd.feed import EventQueue, PriceFeed, Staleness, TransactionFeed
from sepd.settings import BrokerSettings
from sepd.supervise import Backoff, supervise
from sepd.venue.context import VENUE, Context
from sepd.venue.faults import Fault, FaultScript
from sepd.venue.limits import Limits
from tests.support.seen import Seen
from tests.support.venue import write_ticks
from tests.support.venue_app import Client, conductor, serving
from tests.support.virtual import LoopClock, run_virtually

S = 1_000_000_000
NOON = 1_489_579_200 * S
BASE = Granularity.S30
LENGTH_S = 240
CALM_S = 80
SEEDS = int(os.environ.get("TROUBLED_SEEDS", "0"))
READS = "GET /v3/accounts/*"
CANDLES = "GET /v3/instruments/*"
PRICES = "GET /v3/accounts/*/pricing/stream"
ROWS = "GET /v3/accounts/*/transactions/stream"
CUTS = (Fault("cut", PRICES), Fault("cut", ROWS))
TROUBLES: dict[str, tuple[Fault, ...]] = {
    "short delay": (Fault("delay", READS, count=4, seconds=1.0), *CUTS),
    "long delay": (Fault("delay", READS, count=2, seconds=8.0), *CUTS),
    "request lost": (Fault("drop", READS, count=4), *CUTS),
    "reply lost": (Fault("drop", READS, count=4, when="after"), *CUTS),
    "429": (Fault("reply", READS, count=3, status=429), *CUTS),
    "503": (Fault("reply", READS, count=3, status=503), *CUTS),
    "page": (Fault("reply", READS, count=3, status=200, body="<html>Hello</html>"), *CUTS),
    "no candles": (Fault("reply", CANDLES, count=3, status=504), *CUTS),
    "short silence": (Fault("silence", PRICES, seconds=6.0),),
    "long silence": (Fault("silence", PRICES, seconds=15.0),),
    "silent rows": (Fault("silence", ROWS, seconds=15.0),),
    "half-open prices": (Fault("half_open", PRICES),),
    "half-open rows": (Fault("half_open", ROWS),),
    "cut": CUTS,
    "truncated": (Fault("truncate", PRICES, count=3, chance=0.3), Fault("truncate", ROWS)),
    "garbage": (Fault("garbage", PRICES, count=3, chance=0.3), Fault("garbage", ROWS)),
    "duplicates": (Fault("duplicate", PRICES, count=9), Fault("duplicate", ROWS, count=3)),
    "missing rows": (Fault("missing", ROWS, count=3, chance=0.5),),
    "late rows": (Fault("late", ROWS, count=3, seconds=9.0, chance=0.5),),
    "late prices": (Fault("late", PRICES, count=3, seconds=2.0, chance=0.5),),
}


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four minutes of EUR_USD, more than a tick a second."""
    rng, level, at_ms, rows = random.Random(5), 110_000, 300, []
    while at_ms < LENGTH_S * 1_000:
        rows.append((NOON + at_ms * 1_000_000, f"{level / 1e5:.5f}", f"{(level + 10) / 1e5:.5f}"))
        level += rng.randint(-6, 6)
        at_ms += rng.randint(260, 1_400)
    return write_ticks(tmp_path_factory.mktemp("tape") / "EUR_USD.tick.csv", rows)


def faults(seed: int, kinds: Sequence[str] = tuple(TROUBLES)) -> FaultScript:
    """A script of troubles, each in its stretch of time, all over before the calm."""
    rng, found = random.Random(seed), []
    for _ in range(rng.randint(1, 6)):
        start_s = rng.uniform(1, LENGTH_S - CALM_S - 20)
        end_s = start_s + rng.choice((3, 8, 20))
        begin, end = (format_time(NOON + int(at_s * S)) for at_s in (start_s, end_s))
        trouble = TROUBLES[rng.choice(kinds)]
        found += [replace(fault, from_time=begin, to_time=end) for fault in trouble]
    return FaultScript(tuple(found), seed)


async def live(tape: Path, script: FaultScript, seed: int) -> tuple[Seen, Client]:
    """A client and its feeds, supervised, while orders open and close trades."""
    clock, rng = LoopClock(NOON), random.Random(seed)
    venue = conductor(tape, clock=clock, speed=1.0)
    seen = Seen(["EUR_USD"], BASE)
    async with serving(venue, script, Limits(requests_per_s=100)) as http:
        config = venue.engine.account.config
        url = str(http.http.make_url("")).rstrip("/")
        settings = BrokerSettings(
            api_key=SecretStr(config.token),
            account_id=config.account_id,
            rest_url=url,
            stream_url=url,
            timeout_s=5,
        )
        broker = OandaBroker(settings, clock, rng)
        await _opened(broker)
        queue = EventQueue(clock, 65_536)
        transactions = TransactionFeed(broker, queue, 0)
        prices = PriceFeed(
            broker,
            queue,
            ["EUR_USD"],
            transactions=transactions,
            staleness=Staleness(clock, ["EUR_USD"]),
            base=BASE,
        )
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(supervise(name, run, Backoff(rng, 0.5, 2), on_fault=_ignore))
                for name, run in (("prices", prices.run), ("transactions", transactions.run))
            ]
            tasks.append(group.create_task(seen.consume(queue)))
            await _trade(http, broker, rng)
            for task in tasks:
                task.cancel()
        await broker.close()
    return seen, http


async def _opened(broker: OandaBroker) -> None:
    await supervise("open", broker.open, Backoff(random.Random(1), 0.5, 2), on_fault=_ignore)


async def _trade(http: Client, broker: OandaBroker, rng: random.Random) -> None:
    """Market orders at random times until the tape is nearly over."""
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    while loop.time() - started_s < LENGTH_S - CALM_S:
        await asyncio.sleep(rng.uniform(2, 15))
        units = Decimal(rng.choice((-100, 100)))
        await broker.calls.orders.create(MarketOrder("EUR_USD", units))
    await asyncio.sleep(LENGTH_S - 2 - (loop.time() - started_s))


def context_of(http: Client) -> Context:
    """What the venue knows of its troubles and limits."""
    assert http.http.app is not None
    context = http.http.app[VENUE]
    assert isinstance(context, Context)
    return context


def _ignore(_: str, __: str) -> None:
    pass


def check(seen: Seen, http: Client) -> None:
    """All transactions once and in order; every candle once; no limit was ever hit."""
    ledger = http.venue.engine.account.ledger
    assert seen.transactions == list(range(1, ledger.last_id + 1))
    assert len(seen.transactions) > 10
    starts = [candle.time_ns for candle in seen.candles["EUR_USD"]]
    assert starts == list(range(NOON, NOON + (LENGTH_S - 30) * S, BASE.ns))[: len(starts)]
    assert len(starts) >= (LENGTH_S - 30) // 30
    assert seen.gaps == []
    gate = context_of(http).gate
    assert gate is not None
    assert gate.refused == 0


@pytest.mark.parametrize("kind", TROUBLES)
def test_one_kind_of_fault(tape: Path, kind: str) -> None:
    seen, http = run_virtually(live(tape, faults(7, [kind]), 7))
    check(seen, http)
    assert any(context_of(http).plan.hits)


@pytest.mark.parametrize("seed", range(5))
def test_faults_in_random_combination(tape: Path, seed: int) -> None:
    check(*run_virtually(live(tape, faults(seed), seed)))


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_many_seeds(tape: Path) -> None:
    """`TROUBLED_SEEDS` runs."""
    failed: dict[int, str] = {}
    for seed in range(SEEDS):
        try:
            check(*run_virtually(live(tape, faults(seed), seed)))
        except AssertionError as error:
            failed[seed] = str(error).splitlines()[0]
    assert failed == {}
