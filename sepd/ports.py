"""Protocols between the daemon and the outside: what a broker, a store, a cache and a clock do.

The daemon names concrete classes in one file only, `sepd.daemon`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from sepd.domain.account import AccountEvent, AccountSnapshot, TransactionHeartbeat
from sepd.domain.event import MarketEvent
from sepd.domain.market import Candle, Granularity, Heartbeat, Instrument, Quote
from sepd.domain.order import OrderIntent, OrderState, Outcome
from sepd.domain.signal import Signal


class Clock(Protocol):
    """Source of time."""

    def now_ns(self) -> int:
        """UTC since 1970, ns."""
        ...

    def monotonic_ns(self) -> int:
        """Monotonic time, ns."""
        ...


class Events(Protocol):
    """The queue, from the consumer's side."""

    async def get_batch(self, maximum: int) -> Sequence[MarketEvent]:
        """The oldest events, at least one and at most `maximum`."""
        ...

    def processed(self, sequence: int) -> None:
        """All events up to `sequence` have been dealt with."""
        ...


class PriceBatch(Struct, frozen=True):
    """What one read of the price stream brought, in order.

    A paced venue (a tape played no faster than it is dealt with) sets `after_transaction`, the
    account's newest transaction id at the last item, and `token` where it waits for
    `Broker.acknowledge(token)` before it moves on; both are None at OANDA.
    """

    items: tuple[Quote | Heartbeat, ...]
    after_transaction: int | None = None
    token: str | None = None


class Broker(Protocol):
    """An OANDA v20 account. Every call has a deadline.

    Reads raise `TransientError` (try again), `ConfigError` (credentials) or `BrokerRejected`.
    """

    @property
    def account_id(self) -> str:
        """The account that orders go to."""
        ...

    async def open(self) -> None:
        """Connect and check the credentials."""
        ...

    async def close(self) -> None:
        """Close every connection; may be called twice."""
        ...

    async def instruments(self) -> Mapping[str, Instrument]:
        """Tradable instruments by name."""
        ...

    async def account(self) -> AccountSnapshot:
        """The whole account at one transaction id."""
        ...

    async def quotes(self, instruments: Sequence[str]) -> Sequence[Quote]:
        """Newest quote of each instrument."""
        ...

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """Complete candles that start in [from_ns, to_ns), oldest first, paged as needed."""
        ...

    def stream_prices(self, instruments: Sequence[str]) -> AsyncIterator[PriceBatch]:
        """Prices as they come; ends by raising `TransientError` on silence or a broken line."""
        ...

    def stream_transactions(
        self,
    ) -> AsyncIterator[Sequence[AccountEvent | TransactionHeartbeat]]:
        """Account events from now on; no replay of the past."""
        ...

    async def transactions_since(self, transaction_id: int) -> Sequence[AccountEvent]:
        """All account events after `transaction_id`, complete and in order."""
        ...

    async def place(self, intent: OrderIntent) -> Outcome:
        """Send `intent` once. Never raises for what became of it: the `Outcome` says it."""
        ...

    def rehearse(self, intent: OrderIntent) -> None:
        """Do what keeps the next `place` quick, and sends nothing."""
        ...

    def expect(self, intent: OrderIntent) -> None:
        """Know the transactions of `intent`, which an earlier process may have sent."""
        ...

    async def cancel(self, order_id: int) -> Outcome:
        """Cancel a pending order."""
        ...

    async def acknowledge(self, token: str) -> None:
        """Tell a paced venue that all up to `token` has been dealt with."""
        ...


class StoredOrder(Struct, frozen=True):
    """An intent with what is known of it."""

    intent: OrderIntent
    state: OrderState
    order_id: int | None = None
    reason: str = ""


class StoredPosition(Struct, frozen=True):
    """A trade of ours that the store holds open. `price` in points, money in home currency."""

    trade_id: int
    intent_id: str
    signal_id: str
    instrument: str
    units: Decimal
    price: int
    opened_ns: int
    realized_pl: Decimal = Decimal(0)
    financing: Decimal = Decimal(0)


class DayLedger(Struct, frozen=True):
    """What the risk limits of a trading day need and a restart must not forget."""

    day: str
    opening_balance: Decimal
    realized_pl: Decimal
    high_water: Decimal


class RecentFill(Struct, frozen=True):
    """A fill that opened a trade of ours."""

    trade_id: int
    instrument: str
    time_ns: int


class Recent(Struct, frozen=True):
    """What happened lately, as far as the limits of pace count it.

    `sent_ns` are the entries of the minute up to the newest one, ascending; `fills`, of every
    pair, those of the two hours up to its newest. What an operator has released ended with
    transaction `released`. `loss_streak` counts the fills that lost since the newest that gained.
    """

    sent_ns: tuple[int, ...] = ()
    fills: tuple[RecentFill, ...] = ()
    released: int = 0
    loss_streak: int = 0
    last_loss_ns: int = 0


class StoredState(Struct, frozen=True):
    """Everything that recovery starts from."""

    last_transaction_id: int
    orders: tuple[StoredOrder, ...] = ()
    positions: tuple[StoredPosition, ...] = ()
    balance: Decimal | None = None
    day: DayLedger | None = None
    killed: str = ""
    recent: Recent = Recent()


class JournalRecord(Struct, frozen=True):
    """A batch of inputs or decisions, in order; `body` is canonical JSON lines."""

    kind: str
    time_ns: int
    first_sequence: int
    count: int
    body: bytes


class StoredTotals(Struct, frozen=True):
    """Counts and sums over everything stored; orders, trades and money of one account."""

    candles: int
    ticks: int
    signals: int
    intents: int
    orders_by_state: dict[str, int]
    closed_trades: int
    trading_results_pl: Decimal


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


class Leader(Protocol):
    """The right to send orders of an account, which one process has at a time."""

    async def acquire(self) -> int:
        """Stand by until it is ours; the epoch of our leadership."""
        ...

    async def run(self) -> None:
        """Check it again and again; raises when it is lost."""
        ...

    async def release(self) -> None:
        """Give it back; may be called twice."""
        ...

    def fence(self, intent: OrderIntent) -> str:
        """Why `intent` may not be sent now, or an empty text."""
        ...


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
