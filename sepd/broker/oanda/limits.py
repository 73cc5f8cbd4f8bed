"""Request and connection limits, shared by every task of a client.

OANDA allows 120 requests and 2 new connections per second. `TokenBucket` is the arithmetic;
`Throttle` makes callers wait for it in order of urgency, and holds tokens back for exits.
Durations are the event loop's, so that virtual time works.
"""

from __future__ import annotations

import asyncio
import heapq
from enum import IntEnum


class Urgency(IntEnum):
    """Who goes first when requests are scarce."""

    EXIT = 0
    ENTRY = 1
    READ = 2


class TokenBucket:
    """`rate` tokens a second, at most `burst` at once.

    In no second more than rate + burst tokens are taken.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at_s: float | None = None

    def take(self, now_s: float, reserve: float = 0.0) -> bool:
        """Take a token if `reserve` others remain."""
        self._fill(now_s)
        # A timer set for the very instant may fire a rounding error early.
        if self._tokens + 1e-9 < 1 + reserve:
            return False
        self._tokens -= 1
        return True

    def wait_s(self, now_s: float, reserve: float = 0.0) -> float:
        """Time until `take` succeeds if nobody else takes."""
        self._fill(now_s)
        return max(0.0, (1 + reserve - self._tokens) / self._rate)

    def empty_until(self, now_s: float, until_s: float) -> None:
        """Give no token before `until_s`."""
        self._fill(now_s)
        debt = (until_s - now_s) * self._rate
        self._tokens = min(self._tokens, 1 - debt)

    def _fill(self, now_s: float) -> None:
        if self._at_s is not None:
            gained = (now_s - self._at_s) * self._rate
            self._tokens = min(self._burst, self._tokens + max(0.0, gained))
        self._at_s = now_s


class Throttle:
    """Hands out the tokens of a bucket, the most urgent caller first.

    Args:
        reserve: tokens that each lesser urgency leaves for the greater ones.
    """

    def __init__(self, rate: float, burst: float, reserve: float = 0.0) -> None:
        self._bucket = TokenBucket(rate, burst)
        self._reserve = reserve
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Callers that wait for a token."""
        return len(self._waiting)

    def take(self, urgency: Urgency = Urgency.READ) -> bool:
        """Whether the caller may send one request at once."""
        now_s = asyncio.get_running_loop().time()
        return not self._waiting and self._bucket.take(now_s, self._reserve * urgency)

    async def acquire(self, urgency: Urgency = Urgency.READ) -> None:
        """Return when the caller may send one request."""
        if self.take(urgency):
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (urgency, self._arrivals, turn))
        self._arm(loop)
        # A caller that is cancelled stays in the heap as a done future and is skipped.
        await turn

    def pause(self, seconds: float) -> None:
        """Give nobody a token for `seconds`."""
        now_s = asyncio.get_running_loop().time()
        self._bucket.empty_until(now_s, now_s + seconds)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the timer for the caller at the head; a more urgent newcomer sets it anew."""
        if self._timer is not None:
            self._timer.cancel()
        wait_s = self._bucket.wait_s(loop.time(), self._reserve * self._waiting[0][0])
        self._timer = loop.call_later(wait_s, self._release, loop)

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        while self._waiting:
            urgency, _, turn = self._waiting[0]
            if turn.done():
                heapq.heappop(self._waiting)
            elif self._bucket.take(loop.time(), self._reserve * urgency):
                heapq.heappop(self._waiting)
                turn.set_result(None)
            else:
                self._arm(loop)
                return
