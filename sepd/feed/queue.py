"""The one bounded queue between the producers and the consumer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from sepd.domain.account import TransactionHeartbeat
from sepd.domain.event import MarketEvent, Payload
from sepd.domain.market import Gap, Heartbeat, Quote
from sepd.feed.watermark import Watermark
from sepd.ports import Clock


class _Waiting:
    """Payloads for which there is no room yet, and who waits for it."""

    __slots__ = ("accepted", "payloads")

    def __init__(
        self, payloads: Sequence[Payload], accepted: asyncio.Future[None] | None = None
    ) -> None:
        self.payloads = payloads
        self.accepted = accepted


class EventQueue:
    """Events in the order of their acceptance; sequences count from 1 without a hole.

    When it is full, a paced queue makes producers wait. An unpaced one keeps only the newest
    quote of each instrument, and the newest heartbeats, until there is room; a gap before that
    quote says that others are missing, so that no candle is made of what is left. All other
    events wait and are never dropped. What waits is accepted in the order in which it came. One
    consumer, any number of producers, one event loop.

    Args:
        clock: stamps arrivals with monotonic time.
        capacity: events held at most, what waits for room not counted.
        paced: prices are from a tape that waits; nothing is ever conflated.
    """

    def __init__(self, clock: Clock, capacity: int, *, paced: bool = False) -> None:
        self._clock = clock
        self._capacity = capacity
        self.paced = paced
        self._events: deque[MarketEvent] = deque()
        self._overflow: dict[str, _Waiting] = {}
        self._arrivals = 0
        self._accepted = 0
        self._conflated = 0
        self._filled = asyncio.Event()
        self._processed = Watermark()

    @property
    def depth(self) -> int:
        """Events that wait for the consumer."""
        return len(self._events) + sum(len(item.payloads) for item in self._overflow.values())

    @property
    def conflated(self) -> int:
        """Quotes and heartbeats that a newer one replaced because the queue was full."""
        return self._conflated

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest accepted event; 0 before the first."""
        return self._accepted

    @property
    def idle(self) -> bool:
        """Whether the consumer has dealt with all that came."""
        return not self.depth and self._processed.value == self._accepted

    @property
    def oldest_age_ns(self) -> int:
        """How long the event at the head has waited, ns; 0 when the queue is empty."""
        if not self._events:
            return 0
        return self._clock.monotonic_ns() - self._events[0].received_ns

    async def put_many(self, payloads: Sequence[Payload]) -> int:
        """Accept `payloads` in order; returns the sequence of the newest accepted event."""
        if not self._overflow and len(self._events) + len(payloads) <= self._capacity:
            self._accept(payloads)
        elif self.paced:
            await self._wait(payloads)
        else:
            for payload in payloads:
                if isinstance(payload, Quote | Heartbeat | TransactionHeartbeat):
                    self._conflate(payload)
                else:
                    await self._wait((payload,))
        return self._accepted

    async def get_batch(self, maximum: int) -> list[MarketEvent]:
        """The oldest events, at least one and at most `maximum`."""
        while not self._events:
            self._filled.clear()
            await self._filled.wait()
        if len(self._events) <= maximum:
            batch = list(self._events)
            self._events.clear()
        else:
            batch = [self._events.popleft() for _ in range(maximum)]
        self._refill()
        return batch

    def processed(self, sequence: int) -> None:
        """The consumer has dealt with all events up to `sequence`."""
        self._processed.advance(sequence)

    async def wait_processed(self, sequence: int) -> None:
        """Return when the consumer has dealt with all events up to `sequence`."""
        await self._processed.reach(sequence)

    def _accept(self, payloads: Sequence[Payload]) -> None:
        now_ns = self._clock.monotonic_ns()
        first = self._accepted + 1
        self._events.extend(
            [MarketEvent(number, now_ns, item) for number, item in enumerate(payloads, first)]
        )
        self._accepted += len(payloads)
        self._filled.set()

    async def _wait(self, payloads: Sequence[Payload]) -> None:
        """Return when all of `payloads` are accepted; what is not when cancelled never will be."""
        self._arrivals += 1
        key = str(self._arrivals)
        waiting = _Waiting(payloads, asyncio.get_running_loop().create_future())
        self._overflow[key] = waiting
        self._refill()
        try:
            if waiting.accepted is not None:
                await waiting.accepted
        finally:
            self._overflow.pop(key, None)

    def _conflate(self, payload: Quote | Heartbeat | TransactionHeartbeat) -> None:
        """Let the newest of its kind wait: a heartbeat at the end of the line, a quote, behind
        the gap it leaves, where the one before it waited, so that no heartbeat overtakes the gap.
        """
        key = payload.instrument if isinstance(payload, Quote) else type(payload).__name__
        before = self._overflow.get(key)
        if before is None:
            self._overflow[key] = _Waiting((payload,))
        elif isinstance(payload, Quote):
            self._conflated += 1
            before.payloads = (_hole(before.payloads[0], payload), payload)
        else:
            self._conflated += 1
            del self._overflow[key]
            self._overflow[key] = _Waiting((payload,))
        self._refill()

    def _refill(self) -> None:
        """Accept what waits, oldest first, as far as there is room."""
        while self._overflow:
            room = self._capacity - len(self._events)
            if room <= 0:
                return
            key, waiting = next(iter(self._overflow.items()))
            self._accept(waiting.payloads[:room])
            waiting.payloads = waiting.payloads[room:]
            if waiting.payloads:
                return
            del self._overflow[key]
            if waiting.accepted is not None and not waiting.accepted.done():
                waiting.accepted.set_result(None)


def _hole(first: Payload, newest: Quote) -> Gap:
    """The gap from what `newest` replaces, a quote or a gap and a quote, to `newest`."""
    from_ns = first.from_ns if isinstance(first, Gap) else newest.time_ns
    if isinstance(first, Quote):
        from_ns = first.time_ns
    return Gap(newest.instrument, from_ns, max(newest.time_ns, from_ns + 1))
