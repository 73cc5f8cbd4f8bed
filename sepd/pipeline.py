"""The single consumer: a batch of events → candles and readings → decisions → orders.

It alone feeds the `Decider`, so nothing here needs a lock. What comes in and what is decided is
journaled; candles, quotes and signals go to store and cache; intents go to the executor.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import cycle

from sepd.decide import Decider, Decision, Question
from sepd.domain.account import (
    BalanceChanged,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OtherTransaction,
    TransactionHeartbeat,
)
from sepd.domain.event import MarketEvent, Payload
from sepd.domain.market import Candle, Heartbeat, Quote
from sepd.execution.executor import Executor
from sepd.journal import Arrived, Asked, Decided, Journal
from sepd.ports import Cache, Clock, Events, Store

BUILT, FETCHED = "stream", "broker"
LATENCIES = 1_024
JOURNAL_ENTRIES = 256
JOURNAL_S = 0.1
ACCOUNT = (
    OrderAccepted,
    OrderFilled,
    OrderCancelled,
    OrderRejected,
    BalanceChanged,
    OtherTransaction,
)


class Tally:
    """What the consumer has seen and done since the start."""

    def __init__(self) -> None:
        self.events = 0
        self.quotes = 0
        self.signals = 0
        self.orders = 0
        self.refused: Counter[str] = Counter()
        self.last_signal: str | None = None
        self.latencies_ns: deque[int] = deque(maxlen=LATENCIES)


class Pipeline:
    """Takes events off the queue and deals with them, batch by batch.

    Args:
        clock: time by which prices are too old and signals expire.
        stale: whether the prices of an instrument may have been missed.
        skew_ns: broker time minus local time.
        on_time: told broker time as candles end.
        on_progress: told after each batch that the consumer moved on.
        timer: measures latency; decisions never look at it.
        paced: the venue waits for us, so we wait for our orders: nothing depends on speed.
    """

    def __init__(
        self,
        *,
        queue: Events,
        decider: Decider,
        executor: Executor,
        journal: Journal,
        store: Store,
        cache: Cache,
        clock: Clock,
        stale: Callable[[str], bool],
        skew_ns: Callable[[], int],
        on_time: Callable[[int], None],
        on_progress: Callable[[int], None],
        timer: Clock,
        paced: bool = False,
    ) -> None:
        self.tally = Tally()
        self.paused = False
        self._queue = queue
        self._decider = decider
        self._executor = executor
        self._journal = journal
        self._store = store
        self._cache = cache
        self._clock = clock
        self._stale = stale
        self._skew_ns = skew_ns
        self._on_time = on_time
        self._on_progress = on_progress
        self._timer = timer
        self._paced = paced
        self._turns = cycle(decider.views)
        self._consumed = asyncio.Event()
        self._journaling = asyncio.Lock()

    async def run(self, batch_events: int) -> None:
        """Consume until cancelled."""
        while True:
            batch = await self._queue.get_batch(batch_events)
            await self.consume(batch)
            self._queue.processed(batch[-1].sequence)
            self._on_progress(self.tally.events)

    async def consume(self, batch: Sequence[MarketEvent]) -> None:
        """Deal with one batch, in order; then read what closed in it, and decide.

        What no order waits for comes after the decisions.
        """
        started_ns = self._timer.monotonic_ns()
        self._journal.add(Arrived(tuple(batch)))
        newest: dict[str, Quote] = {}
        closed: dict[str, int] = {}
        completed: list[Candle] = []
        built: list[Candle] = []
        fetched: list[Candle] = []
        for event in batch:
            payload = event.payload
            if isinstance(payload, Quote):
                self.tally.quotes += 1
                newest[payload.instrument] = payload
            elif isinstance(payload, TransactionHeartbeat):
                self._executor.note(payload.last_transaction_id)
            elif isinstance(payload, ACCOUNT):
                self._executor.offer([payload])
            for name, done in self._decider.take(payload).items():
                completed += done
                if isinstance(payload, Candle):
                    fetched += done
                else:
                    built += done
                    self._ended(name, done, payload, closed)
        self._decider.read()
        for name, closed_ns in closed.items():
            await self._ask(name, closed_ns)
            self.tally.latencies_ns.append(self._timer.monotonic_ns() - started_ns)
        self._decider.catch_up(completed)
        self.tally.events += len(batch)
        self._cache.put_quotes(list(newest.values()))
        await self._store.record_events(batch)
        await self._keep(built, BUILT)
        await self._keep(fetched, FETCHED)
        self._consumed.set()
        if len(self._journal) >= JOURNAL_ENTRIES:
            await self.write_journal()

    def _ended(
        self, name: str, candles: Sequence[Candle], payload: Payload, closed: dict[str, int]
    ) -> None:
        """Note the time that ended `candles`, and whether the rule is to be asked."""
        if not isinstance(payload, Quote | Heartbeat):
            return
        self._on_time(payload.time_ns)
        if self._decider.closes(candles):
            closed[name] = payload.time_ns

    async def _keep(self, candles: Sequence[Candle], source: str) -> None:
        if candles:
            await self._store.record_candles(candles, source)
            self._cache.put_candles(candles)

    async def _ask(self, name: str, closed_ns: int) -> None:
        """Have one instrument decided, and carry the decision out."""
        if self.paused:
            return
        if self._paced:
            await self._executor.drain()
        question = Question(
            name,
            closed_ns,
            self._clock.now_ns(),
            self._stale(name),
            self._executor.last_transaction_id,
            self._skew_ns(),
        )
        self._journal.add(Asked(question))
        decision = self._decider.decide(question)
        if decision is None:
            return
        self._journal.add(Decided(decision))
        self.tally.signals += 1
        self.tally.orders += 1
        self.tally.last_signal = decision.signal.id
        await self._carry_out(decision)
        self._cache.put_signal(decision.signal)

    async def _carry_out(self, decision: Decision) -> None:
        refused = decision.verdict
        if decision.intent is not None:
            snapshot = decision.snapshot.encode() or b"{}"
            refused = await self._executor.submit(decision.intent, decision.signal, snapshot)
        if refused:
            self.tally.refused[refused] += 1
            await self._store.record_signal(decision.signal, refused)
        elif self._paced:
            await self._executor.drain()

    def rehearse(self) -> bool:
        """Rehearse an entry of the next instrument in turn, up to its bytes; False, and nothing
        is done, while a real one is on its way.
        """
        if not self._executor.idle:
            return False
        intent = self._decider.rehearse(next(self._turns))
        if intent is not None:
            self._executor.rehearse(intent)
        return True

    async def keep_journal(self) -> None:
        """Write what the journal has collected soon after it came, until cancelled."""
        while True:
            await self._consumed.wait()
            await asyncio.sleep(JOURNAL_S)
            self._consumed.clear()
            await self.write_journal()

    async def write_journal(self) -> None:
        """Queue what the journal has collected."""
        async with self._journaling:  # records stay in order, whoever writes them
            record = self._journal.take()
            if record is not None:
                await self._store.record_journal(record)
