"""The broker's own candle of every period that ended, to check ours against."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sepd.domain.market import Granularity
from sepd.domain.time import NS_PER_S
from sepd.errors import BrokerRejected
from sepd.feed.queue import EventQueue
from sepd.ports import Broker, Clock

LAG_S = 2.0
LOOK_BACK = 5


class CloseFeed:
    """Puts the broker's complete base candles on the queue, a moment after each period's end.

    A candle that the broker publishes late is asked for again for `LOOK_BACK` periods. Every
    candle is put once. Periods that had ended before the first round are not asked for: the
    repairs of `PriceFeed` cover them.

    Args:
        clock: UTC.
        offset_ns: the broker's clock minus `clock`, as far as it is known.
        lag_s: how long after its end a candle is asked for.

    Attributes:
        refused: requests that the broker would not answer.
    """

    def __init__(
        self,
        broker: Broker,
        queue: EventQueue,
        instruments: Sequence[str],
        base: Granularity,
        clock: Clock,
        *,
        offset_ns: Callable[[], int] = int,
        lag_s: float = LAG_S,
    ) -> None:
        self._broker = broker
        self._queue = queue
        self._base = base
        self._clock = clock
        self._offset_ns = offset_ns
        self._lag_ns = int(lag_s * NS_PER_S)
        self._from_ns: dict[str, int | None] = dict.fromkeys(instruments)
        self.refused = 0

    async def run(self) -> None:
        """Follow the closes until cancelled.

        Raises:
            TransientError: the broker does not answer; run again, nothing is passed over.
        """
        while True:
            ended_ns = self._base.floor(self._settled_ns())
            for instrument in self._from_ns:
                await self._check(instrument, ended_ns)
            left_ns = ended_ns + self._base.ns - self._settled_ns()
            await asyncio.sleep(max(left_ns, 0) / NS_PER_S)

    async def _check(self, instrument: str, ended_ns: int) -> None:
        """Put the candles of `instrument` that ended since the newest one put."""
        from_ns = self._from_ns[instrument]
        if from_ns is None:
            self._from_ns[instrument] = ended_ns
            return
        from_ns = max(from_ns, ended_ns - LOOK_BACK * self._base.ns)
        if from_ns >= ended_ns:
            return
        try:
            candles = await self._broker.candles(instrument, self._base, from_ns, ended_ns)
        except BrokerRejected:
            self.refused += 1
            return
        if candles:
            await self._queue.put_many(candles)
            self._from_ns[instrument] = candles[-1].end_ns

    def _settled_ns(self) -> int:
        """Broker time at which candles may be taken as published."""
        return self._clock.now_ns() + self._offset_ns() - self._lag_ns
