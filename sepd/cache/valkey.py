"""The cache in Valkey (or Redis): newest prices, signals and candle series.

Writes are queued and sent in pipelines by `run`; they conflate and are bounded, and what does not
fit while the server is away is dropped and counted. Keys:

    price:{instrument}                             hash: time_ns, bid, ask, tradeable; points
    signal:{instrument}                            string: the signal as JSON
    candle:{instrument}:{granularity}:{timestamp}  hash: volume and bid/ask OHLC; Unix seconds
    candles:series:{instrument}:{granularity}      sorted set by Unix seconds of JSON arrays
                                                   [time_ns, bid OHLC, ask OHLC, volume]
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import msgspec
import redis.asyncio as redis
import structlog
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from sepd.domain.market import Candle, Granularity, Quote
from sepd.domain.signal import Signal
from sepd.domain.time import NS_PER_S
from sepd.errors import ConfigError
from sepd.log import redact_text

log = structlog.get_logger(__name__)

_QUEUED_CANDLES = 16_384
_BATCH_CANDLES = 32
_AWAY_S = 0.5
_SCHEMES = ("redis://", "rediss://", "unix://", "valkey://", "valkeys://")

_encode = msgspec.json.Encoder().encode

CandleKey = tuple[str, Granularity, int]


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A candle in its series; kept from the garbage collector, which would walk every one."""

    time_ns: int
    bid_open: int
    bid_high: int
    bid_low: int
    bid_close: int
    ask_open: int
    ask_high: int
    ask_low: int
    ask_close: int
    volume: int

    def candle(self, instrument: str, granularity: Granularity) -> Candle:
        """The candle of this row."""
        return Candle(
            instrument,
            granularity,
            self.time_ns,
            self.bid_open,
            self.bid_high,
            self.bid_low,
            self.bid_close,
            self.ask_open,
            self.ask_high,
            self.ask_low,
            self.ask_close,
            self.volume,
        )


_decode_rows = msgspec.json.Decoder(list[Row]).decode


class ValkeyCache:
    """Implements `sepd.ports.Cache`. Nothing here ever raises for a server that is away.

    Args:
        url: `redis://`, `rediss://`, `unix://` or the same with `valkey`.
        timeout_s: deadline of connecting and of every command.
        series_length: candles kept per instrument and granularity.

    Raises:
        ConfigError: `url` is no such address.
    """

    def __init__(self, url: str, *, timeout_s: float = 1.0, series_length: int = 2_000) -> None:
        if not url.startswith(_SCHEMES):
            raise ConfigError(
                f"VALKEY_URL {redact_text(url)!r} is not an address such as "
                "redis://user:password@host:6379/0."
            )
        self._url = redact_text(url)
        self._length = series_length
        self._prices: dict[str, Quote] = {}
        self._signals: dict[str, Signal] = {}
        self._candles: dict[CandleKey, Candle] = {}
        self._work = asyncio.Event()
        self._ok = False
        self._dropped = 0
        self._client = redis.Redis.from_url(
            "redis" + url.removeprefix("valkey") if url.startswith("valkey") else url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )

    @property
    def ok(self) -> bool:
        """Whether the last write went through."""
        return self._ok

    @property
    def queued(self) -> int:
        """Prices, signals and candles that are not written yet."""
        return len(self._prices) + len(self._signals) + len(self._candles)

    @property
    def dropped(self) -> int:
        """Candles that were never written because the server was away too long."""
        return self._dropped

    async def open(self) -> None:
        """Connect; a server that is away is no error.

        Raises:
            ConfigError: it refuses the credentials.
        """
        with self._away():
            try:
                await self._client.ping()
            except RedisError as error:
                if not _refuses_credentials(error):
                    raise
                raise ConfigError(
                    f"Valkey at {self._url} refuses the credentials: {error}. Correct VALKEY_URL."
                ) from None
            self._ok = True

    async def close(self) -> None:
        """Write what is queued if the server answers, then disconnect; may be called twice."""
        if self._ok:
            await self.flush()
        await self._client.aclose()

    async def run(self) -> None:
        """Write what is queued until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            while not await self.flush():  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(_AWAY_S)

    async def flush(self) -> bool:
        """Write what is queued; False if the server is away."""
        while self.queued:
            await self._write()
            if not self._ok:
                return False
        return True

    def put_quotes(self, quotes: Sequence[Quote]) -> None:
        """Newest price of each instrument."""
        self._prices.update((quote.instrument, quote) for quote in quotes)
        self._work.set()

    def put_candles(self, candles: Sequence[Candle]) -> None:
        """Complete candles and their series; the oldest queued make room where there is none."""
        for candle in candles:
            key = (candle.instrument, candle.granularity, candle.time_ns)
            if len(self._candles) >= _QUEUED_CANDLES:
                del self._candles[next(iter(self._candles))]
                self._dropped += 1
            self._candles[key] = candle
        self._work.set()

    def put_signal(self, signal: Signal) -> None:
        """Newest signal of its instrument."""
        self._signals[signal.instrument] = signal
        self._work.set()

    async def latest_candles(
        self, instrument: str, granularity: Granularity, count: int
    ) -> Sequence[Candle]:
        """The newest `count` cached candles, oldest first; empty when the cache is away."""
        series = _series(instrument, granularity)
        members: list[bytes] = []
        with self._away():
            members = cast("list[bytes]", await self._client.zrange(series, -count, -1))
        try:
            found = _decode_rows(b"[" + b",".join(members) + b"]")
        except msgspec.MsgspecError:  # another program wrote there
            return []
        return [row.candle(instrument, granularity) for row in found]

    async def _write(self) -> None:
        """Send one pipeline; what it held stays queued unless the server took it."""
        prices, signals = dict(self._prices), dict(self._signals)
        keys = [key for key, _ in zip(self._candles, range(_BATCH_CANDLES), strict=False)]
        candles = [self._candles[key] for key in keys]
        with self._away():
            async with self._client.pipeline(transaction=False) as pipeline:
                self._add_prices(pipeline, prices.values())
                for instrument, signal in signals.items():
                    pipeline.set(f"signal:{instrument}", _encode(signal))
                self._add_candles(pipeline, candles)
                await pipeline.execute()
            _forget(self._prices, prices)
            _forget(self._signals, signals)
            _forget(self._candles, dict(zip(keys, candles, strict=True)))

    def _add_prices(self, pipeline: Pipeline, quotes: Iterable[Quote]) -> None:
        for quote in quotes:
            pipeline.hset(
                f"price:{quote.instrument}",
                mapping={
                    "time_ns": quote.time_ns,
                    "bid": quote.bid,
                    "ask": quote.ask,
                    "tradeable": int(quote.tradeable),
                },
            )

    def _add_candles(self, pipeline: Pipeline, candles: Sequence[Candle]) -> None:
        """Hashes that expire with the series, and the series itself, cut to its length."""
        touched: set[str] = set()
        for candle in candles:
            second = candle.time_ns // NS_PER_S
            row = _row(candle)
            key = f"candle:{candle.instrument}:{candle.granularity}:{second}"
            pipeline.hset(key, mapping=cast("dict[Any, Any]", msgspec.structs.asdict(row)))
            pipeline.expire(key, 2 * self._length * candle.granularity.seconds)
            series = _series(candle.instrument, candle.granularity)
            pipeline.zremrangebyscore(series, second, second)
            pipeline.zadd(series, {_encode(row): second})
            touched.add(series)
        for series in sorted(touched):
            pipeline.zremrangebyrank(series, 0, -self._length - 1)

    @contextmanager
    def _away(self) -> Iterator[None]:
        """Note whether the server answers; say so once when it stops and once when it is back."""
        try:
            yield
        except (RedisError, OSError, TimeoutError) as error:
            if self._ok:
                log.warning("cache_away", url=self._url, reason=str(error))
            self._ok = False
        else:
            if not self._ok:
                log.info("cache_up", url=self._url, dropped=self._dropped)
            self._ok = True


def _refuses_credentials(error: RedisError) -> bool:
    """The client knows the older servers' answers only; newer ones it passes on as text."""
    refusals = ("username-password pair", "Authentication required", "NOAUTH", "WRONGPASS")
    words = str(error)
    return isinstance(error, AuthenticationError) or any(text in words for text in refusals)


def _series(instrument: str, granularity: Granularity) -> str:
    return f"candles:series:{instrument}:{granularity}"


def _row(candle: Candle) -> Row:
    return Row(
        candle.time_ns,
        candle.bid_open,
        candle.bid_high,
        candle.bid_low,
        candle.bid_close,
        candle.ask_open,
        candle.ask_high,
        candle.ask_low,
        candle.ask_close,
        candle.volume,
    )


def _forget[K, V](queue: dict[K, V], written: dict[K, V]) -> None:
    """Take what was written out of the queue, unless something newer has come."""
    for key, value in written.items():
        if queue.get(key) is value:
            del queue[key]
