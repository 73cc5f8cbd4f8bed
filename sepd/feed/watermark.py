"""A number that only grows, and waiting for it."""

from __future__ import annotations

import asyncio
import heapq


class Watermark:
    """The highest number reached so far; coroutines wait until it is high enough."""

    def __init__(self, value: int = 0) -> None:
        self._value = value
        self._arrivals = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def value(self) -> int:
        """The highest number reached."""
        return self._value

    def advance(self, value: int) -> None:
        """Raise the mark to `value`; a lower value changes nothing."""
        self._value = max(self._value, value)
        while self._waiting and self._waiting[0][0] <= self._value:
            waiter = heapq.heappop(self._waiting)[2]
            if not waiter.done():
                waiter.set_result(None)

    async def reach(self, value: int) -> None:
        """Return when the mark is at least `value`."""
        if self._value >= value:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (value, self._arrivals, waiter))
        await waiter
