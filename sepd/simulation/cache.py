"""A cache that forgets everything, and may be away: nothing may depend on it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sepd.domain.market import Candle, Granularity, Quote
from sepd.domain.signal import Signal


class ForgetfulCache:
    """Implements `sepd.ports.Cache`."""

    def __init__(self) -> None:
        self.away = False

    @property
    def ok(self) -> bool:
        """Whether it answers."""
        return not self.away

    async def open(self) -> None:
        """Nothing to connect."""

    async def close(self) -> None:
        """Nothing to disconnect."""

    async def run(self) -> None:
        """Nothing is written."""
        await asyncio.Event().wait()

    def put_quotes(self, quotes: Sequence[Quote]) -> None:
        """Forget."""

    def put_candles(self, candles: Sequence[Candle]) -> None:
        """Forget."""

    def put_signal(self, signal: Signal) -> None:
        """Forget."""

    async def latest_candles(
        self,
        instrument: str,  # noqa: ARG002 - it has none of any
        granularity: Granularity,  # noqa: ARG002
        count: int,  # noqa: ARG002
    ) -> Sequence[Candle]:
        """None."""
        return ()
