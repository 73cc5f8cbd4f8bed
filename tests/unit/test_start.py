"""A start brings what decisions need of the past."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec

from sepd.clock import EventClock
from sepd.domain.account import AccountSnapshot
from sepd.domain.market import Candle, Granularity
from sepd.journal import Started
from sepd.ports import StoredState
from sepd.risk.day import trading_day
from sepd.settings import RiskSettings, Settings
from sepd.start import closes_before, new_decider, started_from
from sepd.storage.memory import MemoryStore
from tests.support.trading import ACCOUNT, NOON, PAIRS

M5 = Granularity.M5
SETTINGS = Settings(instruments=("EUR_USD", "GBP_USD"), risk=RiskSettings(correlation_candles=20))
SNAPSHOT = AccountSnapshot(
    account_id=ACCOUNT,
    currency="USD",
    balance=Decimal(1_000),
    nav=Decimal(1_000),
    margin_used=Decimal(0),
    margin_available=Decimal(1_000),
    last_transaction_id=10,
)


def candle(name: str, number: int, close: int, granularity: Granularity = M5) -> Candle:
    """The candle `number` before noon."""
    return Candle(name, granularity, NOON - number * M5.ns, *(close, close, close, close) * 2)


async def store_of(candles: list[Candle]) -> MemoryStore:
    store = MemoryStore(trading_day=trading_day, clock=EventClock(NOON))
    await store.record_candles(candles, "stream")
    return store


def history() -> list[Candle]:
    """Thirty candles of each pair that move alike, of the pair's newest length."""
    rows = [(number, 100_000 + number * number % 7 * 10) for number in range(30, 0, -1)]
    found = [candle(name, *row) for row in rows for name in SETTINGS.instruments]
    return [*found, candle("EUR_USD", 1, 1, Granularity.M15), candle("EUR_USD", 0, 1)]


async def test_the_newest_closes_before_the_start_are_read() -> None:
    found = await closes_before(SETTINGS, await store_of(history()), NOON)
    assert sorted(found) == ["EUR_USD", "GBP_USD"]
    assert list(found["EUR_USD"]) == [NOON - number * M5.ns for number in range(20, 0, -1)]
    assert set(found["EUR_USD"].values()) <= {2 * (100_000 + rest * 10) for rest in range(7)}


async def test_closes_are_found_behind_a_weekend() -> None:
    monday_ns = NOON + 2 * 86_400_000_000_000
    found = await closes_before(SETTINGS, await store_of(history()), monday_ns)
    assert len(found["GBP_USD"]) == 20


async def test_one_pair_has_nothing_to_be_compared_with() -> None:
    alone = Settings(instruments=("EUR_USD",))
    assert await closes_before(alone, await store_of(history()), NOON) == {}


def test_a_start_knows_how_pairs_moved_and_so_does_its_replay() -> None:
    async def start() -> Started:
        store, pairs = await store_of(history()), tuple(PAIRS.values())
        return await started_from(SETTINGS, SNAPSHOT, StoredState(10), pairs, store, NOON)

    started = asyncio.run(start())
    read_back = msgspec.json.decode(msgspec.json.encode(started), type=Started)
    assert read_back == started
    for each in (started, read_back):
        assert new_decider(SETTINGS, each).book.correlation == {
            frozenset(SETTINGS.instruments): Decimal("1.0000")
        }


def test_a_start_that_was_journaled_without_closes_is_read() -> None:
    started = Started("0", SETTINGS.model_dump_json(), ACCOUNT, NOON, (), SNAPSHOT, StoredState(1))
    old = msgspec.to_builtins(started)
    del old["closes"], old["state"]["recent"]
    assert msgspec.convert(old, Started) == started
