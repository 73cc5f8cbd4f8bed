"""The cache against a real server: what it holds, and that nothing waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import psutil
import pytest
import pytest_asyncio
import redis.asyncio as redis

from sepd.cache.embedded import EmbeddedRedis
from sepd.cache.valkey import ValkeyCache
from sepd.domain.market import Candle, Granularity, Quote
from sepd.domain.signal import Action, Signal
from sepd.errors import ConfigError
from tests.support.trading import NOON, S, make_signal

M5 = Granularity.M5


def candle(number: int, close: int = 1) -> Candle:
    values: tuple[Any, ...] = ("EUR_USD", M5, NOON + number * M5.ns, *range(close, close + 8), 3)
    return Candle(*values)


@pytest_asyncio.fixture
async def cache(valkey_url: str) -> AsyncIterator[ValkeyCache]:
    one = ValkeyCache(valkey_url, series_length=10)
    await one.open()
    yield one
    await one.close()


@pytest_asyncio.fixture
async def client(valkey_url: str) -> AsyncIterator[redis.Redis]:
    one = redis.Redis.from_url(valkey_url, decode_responses=True)
    yield one
    await one.aclose()


async def until(met: Callable[[], bool]) -> None:
    """Let other tasks go on until something has happened."""
    while not met():  # noqa: ASYNC110 - the cache tells nobody
        await asyncio.sleep(0.01)


async def test_prices_and_signals_conflate_to_the_newest(
    cache: ValkeyCache, client: redis.Redis
) -> None:
    cache.put_quotes([Quote("EUR_USD", n, n, n + 2) for n in range(5)])
    cache.put_quotes([Quote("USD_JPY", 9, 1, 2, tradeable=False)])
    cache.put_signal(make_signal(1))
    cache.put_signal(make_signal(2, action=Action.SELL))
    assert await cache.flush()
    assert await client.hgetall("price:EUR_USD") == {
        "time_ns": "4", "bid": "4", "ask": "6", "tradeable": "1",
    }  # fmt: skip
    assert (await client.hgetall("price:USD_JPY"))["tradeable"] == "0"
    text = cast("str", await client.get("signal:EUR_USD"))
    assert msgspec.json.decode(text, type=Signal) == make_signal(2, action=Action.SELL)
    assert cache.ok


async def test_candles_come_back_oldest_first_and_bounded(
    cache: ValkeyCache, client: redis.Redis
) -> None:
    cache.put_candles([candle(n) for n in range(25)])
    assert await cache.flush()
    assert await cache.latest_candles("EUR_USD", M5, 3) == [candle(n) for n in (22, 23, 24)]
    assert await cache.latest_candles("EUR_USD", M5, 99) == [candle(n) for n in range(15, 25)]
    assert await cache.latest_candles("EUR_USD", Granularity.H1, 3) == []
    assert await client.zcard("candles:series:EUR_USD:M5") == 10
    key = f"candle:EUR_USD:M5:{candle(24).time_ns // S}"
    assert (await client.hgetall(key))["ask_close"] == "8"
    assert 0 < await client.ttl(key) <= 2 * 10 * 300


async def test_a_corrected_candle_takes_the_place_of_the_first(cache: ValkeyCache) -> None:
    cache.put_candles([candle(0), candle(1)])
    assert await cache.flush()
    cache.put_candles([candle(0, close=50)])
    assert await cache.flush()
    assert await cache.latest_candles("EUR_USD", M5, 9) == [candle(0, close=50), candle(1)]


async def test_what_others_wrote_under_our_keys_is_no_candle(
    cache: ValkeyCache, client: redis.Redis
) -> None:
    await client.zadd("candles:series:EUR_USD:M5", {"not a candle": 1})
    assert await cache.latest_candles("EUR_USD", M5, 9) == []
    await client.set("candles:series:EUR_USD:H1", "not a series")
    assert await cache.latest_candles("EUR_USD", Granularity.H1, 9) == []


async def test_a_cache_that_is_away_is_no_error(tmp_path: Path) -> None:
    cache = ValkeyCache(f"unix://{tmp_path}/nobody.sock", timeout_s=0.1)
    await cache.open()
    assert not cache.ok
    cache.put_quotes([Quote("EUR_USD", 1, 2, 3)])
    assert await cache.latest_candles("EUR_USD", M5, 9) == []
    await cache.close()
    await cache.close()


async def test_what_was_queued_while_it_was_away_is_written_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with EmbeddedRedis(tmp_path) as server:
        cache = ValkeyCache(server.url, timeout_s=0.2)
        await cache.open()
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(cache.run())
        cache.put_candles([candle(0)])
        await until(lambda: not cache.ok)
        cache.put_candles([candle(1)])
        async with EmbeddedRedis(tmp_path):
            await until(lambda: not cache.queued)
            assert await cache.latest_candles("EUR_USD", M5, 9) == [candle(0), candle(1)]
            assert cache.ok
            writer.cancel()
    assert cache.dropped == 0
    await cache.close()


async def test_the_queue_is_bounded_and_drops_are_counted(tmp_path: Path) -> None:
    cache = ValkeyCache(f"unix://{tmp_path}/nobody.sock")
    cache.put_candles([candle(n) for n in range(20_000)])
    assert cache.queued == 16_384
    assert cache.dropped == 20_000 - 16_384
    await cache.close()


async def test_a_frozen_server_does_not_hold_us_up(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path) as server:
        cache = ValkeyCache(server.url, timeout_s=0.1)
        await cache.open()
        held = psutil.Process(server.pid)
        held.suspend()
        try:
            assert await cache.latest_candles("EUR_USD", M5, 9) == []
            assert not cache.ok
        finally:
            held.resume()
        cache.put_candles([candle(0)])
        assert await cache.flush()
        assert await cache.latest_candles("EUR_USD", M5, 9) == [candle(0)]
        await cache.close()


async def test_refused_credentials_are_a_sentence_without_the_password(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path) as server:
        client = redis.Redis.from_url(server.url)
        await client.config_set("requirepass", "right")
        await client.aclose()
        wrong = server.url.replace("unix://", "unix://default:hunter2@")
        cache = ValkeyCache(wrong)
        with pytest.raises(ConfigError, match="refuses the credentials") as caught:
            await cache.open()
        assert "hunter2" not in str(caught.value)
        await cache.close()


@pytest.mark.parametrize("url", ["", "http://h", "localhost:6379"])
async def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="VALKEY_URL"):
        ValkeyCache(url)
