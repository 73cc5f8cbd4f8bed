"""What a cache does; losing it loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sepd.domain.market import Candle, Granularity, Quote
from sepd.domain.signal import Signal


class Cache(Protocol):
    """Valkey. Losing it loses nothing: writes are queued, bounded and dropped when it is away."""

    async def open(self) -> None:
        """Connect."""
        ...

    async def close(self) -> None:
        """Disconnect; may be called twice."""
        ...

    async def run(self) -> None:
        """Write what is queued until cancelled; never raises for a cache that is away."""
        ...

    @property
    def ok(self) -> bool:
        """Whether the last write went through."""
        ...

    def put_quotes(self, quotes: Sequence[Quote]) -> None:
        """Newest price of each instrument."""
        ...

    def put_candles(self, candles: Sequence[Candle]) -> None:
        """Complete candles, and their series, bounded in length."""
        ...

    def put_signal(self, signal: Signal) -> None:
        """Newest signal of its instrument."""
        ...

    async def latest_candles(
        self, instrument: str, granularity: Granularity, count: int
    ) -> Sequence[Candle]:
        """The newest `count` cached candles, oldest first; empty when the cache is away."""
        ...
