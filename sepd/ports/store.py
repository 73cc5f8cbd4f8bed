"""What a store does: the durable state of accounts, and the record of what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sepd.domain.account import AccountEvent, AccountSnapshot
from sepd.domain.event import MarketEvent
from sepd.domain.market import Candle, Granularity
from sepd.domain.order import OrderIntent, OrderState
from sepd.domain.signal import Signal
from sepd.ports.stored import JournalRecord, StoredState, StoredTotals


class Store(Protocol):
    """Durable state. `record_*` of market data are queued and written in batches by COPY;
    everything that money depends on is awaited and committed before it returns.

    Raises:
        TransientError: the database is away or too slow.
        InvariantViolated: it holds something that cannot be.
    """

    async def open(self) -> None:
        """Connect; refuse a schema that is older or newer than this program."""
        ...

    async def close(self) -> None:
        """Write what is queued, then disconnect; may be called twice."""
        ...

    def lead(self, epoch: int) -> None:
        """Carry the epoch of our leadership in every write that money depends on.

        From a greater epoch on, the database refuses those of a lesser one (InvariantViolated).
        """
        ...

    async def run(self) -> None:
        """Write what is queued, batch after batch, until cancelled."""
        ...

    @property
    def fault(self) -> str:
        """Why queued rows are not being written; empty while they are. No entries meanwhile."""
        ...

    async def load_state(self, account_id: str) -> StoredState:
        """What recovery starts from: unfinished orders, open positions, checkpoint, ledger."""
        ...

    async def record_baseline(self, account_id: str, snapshot: AccountSnapshot) -> bool:
        """Open the books of an account at `snapshot`, from which its transactions are applied.

        False if they were open already; nothing changes then.
        """
        ...

    async def totals(self, account_id: str) -> StoredTotals:
        """Counts and sums over what is committed."""
        ...

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """Stored candles that start in [from_ns, to_ns), oldest first."""
        ...

    async def record_events(self, events: Sequence[MarketEvent]) -> None:
        """Queue quotes (table ticks); waits only while the bounded queue is full."""
        ...

    async def record_candles(self, candles: Sequence[Candle], source: str) -> None:
        """Queue candles (table market_data). Of two of one start the first stays, but any other
        takes the place of one that was built from quotes (source `stream`).
        """
        ...

    async def record_journal(self, record: JournalRecord) -> None:
        """Queue a journal row."""
        ...

    async def flush(self) -> None:
        """Return when all that was queued is committed."""
        ...

    async def record_signal(self, signal: Signal, verdict: str) -> None:
        """Queue a signal with the reason code it met, `accepted` for one."""
        ...

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        """Commit intent, signal, risk snapshot and audit entry in one transaction.

        Raises:
            InvariantViolated: an intent of this id exists already.
        """
        ...

    async def rehearse(self) -> None:
        """Do what keeps the next `commit_intent` quick, and writes nothing.

        Raises:
            TransientError: the store is away.
        """
        ...

    async def record_order_state(
        self, intent_id: str, state: OrderState, order_id: int | None, reason: str
    ) -> None:
        """Commit a transition of one order."""
        ...

    async def apply_account_events(
        self, account_id: str, events: Sequence[AccountEvent]
    ) -> tuple[int, ...]:
        """Apply broker transactions to orders, fills, positions and results, in this order, all
        of them or nothing.

        Returns:
            Ids of those that had not been applied before.
        """
        ...

    async def record_kill(self, account_id: str, reason: str) -> None:
        """Latch the kill switch with `reason`.

        An empty reason releases it, and whatever was latched off up to the newest transaction.
        """
        ...
