"""The price stream, taken apart by instrument, on the queue; what it missed is fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from sepd.domain.market import Candle, Gap, Granularity, Heartbeat, Quote
from sepd.errors import BrokerRejected, TransientError
from sepd.feed.closing import closing
from sepd.feed.producer import Missing, Producer, Verdict
from sepd.feed.queue import EventQueue
from sepd.feed.staleness import Staleness
from sepd.feed.transactions import TransactionFeed
from sepd.ports import Broker, PriceBatch

BEAT_S = 8.0
"""Heartbeats come every five seconds; one that comes after so many shows that one is missing."""

FETCHES = 4
"""Repairs asked for at a time: each may need a connection, and two a second are allowed."""

LAG_WAITS_S = (0.25, 0.5, 1.0, 2.0, 4.0)
_NEVER_NS = 1 << 62


class PriceFeed:
    """One price stream for all instruments, with a producer for each.

    Args:
        transactions: prices that name a transaction wait until it is on the queue.
        staleness: told what arrives and what is repaired.
        base: length of the candles that repair an interruption.
        since_ns: by instrument, the end of the newest candle that the consumer has.
        lag_waits_s: how long a candle that the broker must have soon is waited for, by attempt.
    """

    def __init__(
        self,
        broker: Broker,
        queue: EventQueue,
        instruments: Sequence[str],
        *,
        transactions: TransactionFeed,
        staleness: Staleness,
        base: Granularity,
        since_ns: Mapping[str, int] | None = None,
        lag_waits_s: Sequence[float] = LAG_WAITS_S,
    ) -> None:
        known = since_ns or {}
        self._broker = broker
        self._queue = queue
        self._transactions = transactions
        self._staleness = staleness
        self._base = base
        self._lag_waits_s = lag_waits_s
        self._asking = asyncio.Semaphore(FETCHES)
        self._heard_ns = 0
        self._last_beat: tuple[int, float] | None = None
        self.unknown = 0
        self.producers = {
            name: Producer(name, base, known.get(name), watched=queue.paced) for name in instruments
        }

    async def run(self) -> None:
        """Follow the prices until the tape ends.

        Raises:
            TransientError: the stream broke or a repair failed; run again.
        """
        self._staleness.interrupted()
        self._last_beat = None
        for producer in self.producers.values():
            producer.interrupted(self._heard_ns)
        stream = self._broker.stream_prices(list(self.producers))
        async with AsyncExitStack() as stack:
            stack.push_async_callback(closing, stream)
            async for batch in stream:
                self._staleness.heard()
                await self._take(batch)

    async def _take(self, batch: PriceBatch) -> None:
        if batch.after_transaction is not None:
            await self._transactions.wait_for(batch.after_transaction)
        if not self._queue.paced:
            self._beat(batch.items)
        await self._deliver(self._timeless(batch))
        if batch.token is not None:
            await self._queue.wait_processed(self._queue.last_sequence)
            await self._broker.acknowledge(batch.token)

    def _timeless(self, batch: PriceBatch) -> Sequence[Quote | Heartbeat]:
        """A tape's heartbeats come by the venue's clock, so they may not close candles; the one
        at the tape's end, which waits for us, may."""
        if not self._queue.paced or batch.token is not None:
            return batch.items
        return [item for item in batch.items if isinstance(item, Quote)]

    async def _deliver(self, items: Sequence[Quote | Heartbeat]) -> None:
        """Put `items` in order, each repair before the first item that needs it."""
        position = 0
        while position < len(items):
            taken, position = self._admit(items, position)
            if taken:
                await self._queue.put_many(taken)
                self._staleness.quoted(taken)
            if position == len(items):
                return
            item = items[position]
            if isinstance(item, Quote):
                await self._repair(self._first_quotes(items[position:]))
            elif not await self._overtaken(item.time_ns):
                position += 1

    def _admit(
        self, items: Sequence[Quote | Heartbeat], start: int
    ) -> tuple[list[Quote | Heartbeat], int]:
        """The items that may be put now, and where the first stands that must wait."""
        taken: list[Quote | Heartbeat] = []
        for position in range(start, len(items)):
            item = items[position]
            if isinstance(item, Quote):
                producer = self.producers.get(item.instrument)
                if producer is None:
                    self.unknown += 1
                    continue
                verdict = producer.judge(item)
                if verdict is Verdict.TAKE:
                    taken.append(item)
                elif verdict is Verdict.REPAIR:
                    return taken, position
            elif item.time_ns < self._due_ns:
                self._heard_ns = max(self._heard_ns, item.time_ns)
                taken.append(item)
            else:
                return taken, position
        return taken, len(items)

    def _beat(self, items: Sequence[Quote | Heartbeat]) -> None:
        """A stream that skipped a heartbeat was silent and may have skipped prices too.

        Raises:
            TransientError: the newest heartbeat is late by both clocks, the broker's and ours.
        """
        beats = [item.time_ns for item in items if isinstance(item, Heartbeat)]
        if not beats:
            return
        now_s = asyncio.get_running_loop().time()
        before = self._last_beat
        self._last_beat = (beats[-1], now_s)
        if (
            before is not None
            and beats[0] - before[0] > BEAT_S * 1e9
            and now_s - before[1] > BEAT_S
        ):
            raise TransientError("The price stream skipped a heartbeat: prices may be missing.")

    @property
    def _due_ns(self) -> int:
        """From this broker time on, a candle that is being made of quotes is not whole."""
        return min(
            (p.due_ns for p in self.producers.values() if p.last_quote_ns), default=_NEVER_NS
        )

    def _first_quotes(self, items: Sequence[Quote | Heartbeat]) -> list[tuple[Producer, int]]:
        """Each producer whose first quote in `items` needs a repair, with that quote's time."""
        first: dict[str, Quote] = {}
        for item in items:
            if isinstance(item, Quote):
                first.setdefault(item.instrument, item)
        return [
            (producer, first[name].time_ns)
            for name, producer in self.producers.items()
            if name in first and producer.needs_repair(first[name])
        ]

    async def _overtaken(self, time_ns: int) -> bool:
        """Deal with a heartbeat that ends a candle whose beginning was missed.

        It would close candles, so it is held back (False) while any of them is not whole.
        """
        due = [p for p in self.producers.values() if p.live and time_ns >= p.due_ns]
        await self._repair([(producer, time_ns) for producer in due], patient=False)
        return time_ns < self._due_ns

    async def _repair(self, due: Sequence[tuple[Producer, int]], *, patient: bool = True) -> None:
        """Fetch what is missing, of all instruments, and put it on the queue.

        Args:
            due: producers, each with the broker time up to which it shall be whole.
            patient: wait for a candle that must be there; else leave it for later.
        """
        found = ((producer, time_ns, producer.missing(time_ns)) for producer, time_ns in due)
        wanted = [(producer, time_ns, gone) for producer, time_ns, gone in found if gone]
        # Not a task group: where a child fails, Python 3.12 leaves this task marked as cancelled.
        answers = await asyncio.gather(
            *(self._fetch(missing, patient=patient) for _, _, missing in wanted),
            return_exceptions=True,
        )
        fetched: list[Sequence[Candle] | None] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            fetched.append(answer)
        for (producer, time_ns, missing), candles in zip(wanted, fetched, strict=True):
            await self._mend(producer, time_ns, missing, candles, patient=patient)

    async def _mend(
        self,
        producer: Producer,
        time_ns: int,
        missing: Missing,
        candles: Sequence[Candle] | None,
        *,
        patient: bool,
    ) -> None:
        payloads: Sequence[Candle | Gap]
        if candles is None:
            payloads = producer.given_up(missing, time_ns)
        elif patient or _holds(candles, missing):
            payloads = producer.repaired(missing, candles, time_ns)
        else:
            return
        await self._queue.put_many(payloads)

    async def _fetch(self, missing: Missing, *, patient: bool) -> Sequence[Candle] | None:
        """The missing candles; None if the broker refuses to give them.

        Candles appear at the broker a moment after the prices. One that must be there is waited
        for to the end, the one that ended last, which may have had no price, for half as long.
        """
        waits = self._lag_waits_s if patient else ()
        for attempt, wait_s in enumerate((*waits, None)):
            try:
                async with self._asking:
                    candles = await self._broker.candles(
                        missing.instrument, self._base, missing.from_ns, missing.to_ns
                    )
            except BrokerRejected:
                return None
            newest = (missing.to_ns - self._base.ns,) if 2 * attempt < len(waits) else ()
            if wait_s is None or _holds(candles, missing, *newest):
                break
            await asyncio.sleep(wait_s)
        return candles


def _holds(candles: Sequence[Candle], missing: Missing, *also_ns: int) -> bool:
    """Whether the candles that must be there, and those that start at `also_ns`, are."""
    starts = {candle.time_ns for candle in candles}
    sure = {*also_ns} if missing.sure_ns is None else {missing.sure_ns, *also_ns}
    return all(ns in starts for ns in sure if missing.from_ns <= ns < missing.to_ns)
