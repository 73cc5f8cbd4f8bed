"""The durable store as one process sees it: a connection that is slow, breaks, or is cut off.

The content is in a `MemoryStore` that outlives every process. A statement takes its effect in
the middle of its time, so that a process may die before it, or after it and before the answer.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from sepd.domain.account import AccountEvent, AccountSnapshot
from sepd.domain.event import MarketEvent
from sepd.domain.market import Candle, Granularity
from sepd.domain.order import OrderIntent, OrderState
from sepd.domain.signal import Signal
from sepd.errors import InvariantViolated, TransientError
from sepd.execution.exits import ExitFile, ExitRecord
from sepd.ports import Clock, JournalRecord, StoredState, StoredTotals
from sepd.simulation.crash import Crashed
from sepd.simulation.lease import Lock
from sepd.storage.memory import AccountBooks, MemoryStore

COMMIT_S = 0.001
_FORGETS = 0.4


class Content(MemoryStore):
    """What is on the disk; it outlives every process. The watcher may look inside.

    Attributes:
        fresh: candles that the watcher has not looked at.
        changes: how often something was changed that the audit log must tell of, by its kind.
    """

    def __init__(self, *, trading_day: Callable[[int], str], clock: Clock) -> None:
        super().__init__(trading_day=trading_day, clock=clock)
        self.fresh: list[Candle] = []
        self.changes: Counter[str] = Counter()

    def books(self, account_id: str) -> AccountBooks:
        """The books of an account."""
        return self._of(account_id)

    async def record_candles(self, candles: Sequence[Candle], source: str) -> None:
        """Keep candles, and let the watcher see each."""
        self.fresh.extend(candles)
        await super().record_candles(candles, source)

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        """Keep an intent."""
        await super().commit_intent(intent, signal, snapshot)
        self.changes["intent"] += 1

    async def record_order_state(
        self, intent_id: str, state: OrderState, order_id: int | None, reason: str
    ) -> None:
        """Move an order, if that changes it."""
        before = self._state(intent_id)
        await super().record_order_state(intent_id, state, order_id, reason)
        self.changes["order_state"] += self._state(intent_id) is not before

    async def apply_account_events(
        self, account_id: str, events: Sequence[AccountEvent]
    ) -> tuple[int, ...]:
        """Apply transactions that are new."""
        applied = await super().apply_account_events(account_id, events)
        self.changes["transaction"] += len(applied)
        return applied

    async def record_kill(self, account_id: str, reason: str) -> None:
        """Latch or release the kill switch."""
        await super().record_kill(account_id, reason)
        self.changes["kill"] += 1

    def _state(self, intent_id: str) -> object:
        known = self.intents.get(intent_id)
        return self._of(known[0].account_id).orders[intent_id] if known else None


class KeptExits(ExitFile):
    """The local file of exits of one machine; it outlives every process."""

    def __init__(self, told: Callable[[OrderIntent], None]) -> None:
        super().__init__(Path("exits.jsonl"))
        self._told = told
        self._records: list[ExitRecord] = []

    def append(self, record: ExitRecord) -> None:
        """Keep `record`."""
        self._told(record.intent)
        self._records.append(record)

    def read(self) -> list[ExitRecord]:
        """All records, oldest first."""
        return list(self._records)

    def clear(self) -> None:
        """Forget all records."""
        self._records.clear()


class Database:
    """What is wrong with the database, until the given loop times.

    Attributes:
        forget_until_s: until then answers to commits are lost after they took effect; where
            `forget_events`, only those to commits of the broker's transactions.
    """

    def __init__(self, content: Content, rng: random.Random) -> None:
        self.content = content
        self.rng = rng
        self.lock = Lock()
        self.away_until_s = 0.0
        self.slow_until_s = 0.0
        self.full_until_s = 0.0
        self.forget_until_s = 0.0
        self.forget_events = False

    def forgets(self, now_s: float, *, of_event: bool) -> bool:
        """Whether the answer to a commit is lost."""
        if now_s >= self.forget_until_s or (self.forget_events and not of_event):
            return False
        return self.rng.random() < _FORGETS


class StoreLink:
    """One process's connection; implements `sepd.ports.Store`."""

    def __init__(self, database: Database) -> None:
        self.dead = False
        self._epoch = 0
        self._database = database
        self._content = database.content
        self._loop = asyncio.get_running_loop()

    @property
    def fault(self) -> str:
        """Why rows are not being written."""
        return "The database does not answer." if self._away else ""

    def lead(self, epoch: int) -> None:
        """Carry our epoch."""
        self._epoch = epoch

    async def open(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Disconnect."""

    async def run(self) -> None:
        """Rows are written as they come."""
        await asyncio.Event().wait()

    async def flush(self) -> None:
        """Everything is written at once."""
        await self._begin()

    async def load_state(self, account_id: str) -> StoredState:
        """Read."""
        await self._begin()
        return await self._content.load_state(account_id)

    async def totals(self, account_id: str) -> StoredTotals:
        """Read."""
        await self._begin()
        return await self._content.totals(account_id)

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """Read."""
        await self._begin()
        return await self._content.candles(instrument, granularity, from_ns, to_ns)

    async def record_events(self, events: Sequence[MarketEvent]) -> None:
        """Queue; waits while the queue is full."""
        await self._queue()
        await self._content.record_events(events)

    async def record_candles(self, candles: Sequence[Candle], source: str) -> None:
        """Queue."""
        await self._queue()
        await self._content.record_candles(candles, source)

    async def record_journal(self, record: JournalRecord) -> None:
        """Queue."""
        await self._queue()
        await self._content.record_journal(record)

    async def record_signal(self, signal: Signal, verdict: str) -> None:
        """Queue."""
        await self._queue()
        await self._content.record_signal(signal, verdict)

    async def record_baseline(self, account_id: str, snapshot: AccountSnapshot) -> bool:
        """Commit."""
        await self._begin()
        self._hold_epoch()
        opened = await self._content.record_baseline(account_id, snapshot)
        await self._end(certain=True)
        return opened

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        """Commit."""
        await self._begin()
        self._hold_epoch()
        await self._content.commit_intent(intent, signal, snapshot)
        await self._end()

    async def rehearse(self) -> None:
        """Nothing goes cold in virtual time."""

    async def record_order_state(
        self, intent_id: str, state: OrderState, order_id: int | None, reason: str
    ) -> None:
        """Commit."""
        await self._begin()
        self._hold_epoch()
        await self._content.record_order_state(intent_id, state, order_id, reason)
        await self._end()

    async def apply_account_events(
        self, account_id: str, events: Sequence[AccountEvent]
    ) -> tuple[int, ...]:
        """Commit."""
        await self._begin()
        self._hold_epoch()
        applied = await self._content.apply_account_events(account_id, events)
        await self._end(of_event=True)
        return applied

    async def record_kill(self, account_id: str, reason: str) -> None:
        """Commit."""
        await self._begin()
        self._hold_epoch()
        await self._content.record_kill(account_id, reason)
        await self._end(certain=True)

    @property
    def _away(self) -> bool:
        return self._loop.time() < self._database.away_until_s

    def _alive(self) -> None:
        if self.dead:
            raise Crashed("the process has ended")

    async def _queue(self) -> None:
        self._alive()
        full_s = self._database.full_until_s - self._loop.time()
        if full_s > 0:
            await asyncio.sleep(full_s)

    async def _begin(self) -> None:
        """On the way to the database."""
        self._alive()
        database = self._database
        slow = self._loop.time() < database.slow_until_s
        await asyncio.sleep(database.rng.uniform(0.2, 20.0) if slow else self._pause_s())
        self._alive()
        if self._away:
            await asyncio.sleep(self._pause_s())
            raise TransientError("The database does not answer.")

    def _hold_epoch(self) -> None:
        if self._epoch != self._database.lock.epoch:
            raise InvariantViolated("Another sepd leads this account; nothing was written.")

    async def _end(self, *, of_event: bool = False, certain: bool = False) -> None:
        """On the way back."""
        await asyncio.sleep(self._pause_s())
        self._alive()
        if not certain and self._database.forgets(self._loop.time(), of_event=of_event):
            raise TransientError("The answer to a commit was lost.")

    def _pause_s(self) -> float:
        return COMMIT_S * (0.1 + self._database.rng.random())
