"""The store in memory, with the semantics of the one in PostgreSQL: for simulation and tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec
from msgspec import Struct, field

from sepd.domain.account import AccountEvent, AccountSnapshot, OrderFilled
from sepd.domain.event import MarketEvent
from sepd.domain.market import Candle, Granularity, Quote
from sepd.domain.order import OrderIntent, OrderState
from sepd.domain.signal import Signal
from sepd.errors import InvariantViolated
from sepd.ports import (
    Clock,
    JournalRecord,
    StoredOrder,
    StoredPosition,
    StoredState,
    StoredTotals,
)
from sepd.storage import books, lines
from sepd.storage.audit import (
    ORIGIN,
    AuditRow,
    chained,
    intent_body,
    state_body,
    transaction_body,
)
from sepd.storage.changes import apply_all, keys
from sepd.storage.recent import Result, recent_of

BUILT = "stream"  # source of candles that were built from quotes

CandleKey = tuple[str, Granularity, int]


class AccountBooks(Struct):
    """Lines of one account."""

    account: lines.Account = lines.Account()
    orders: dict[str, lines.Order] = field(default_factory=dict)
    trades: dict[int, lines.Trade] = field(default_factory=dict)
    applied: set[int] = field(default_factory=set)
    results: list[Result] = field(default_factory=list)
    released: int = 0


class MemoryStore:
    """Implements `sepd.ports.Store`. It outlives a simulated crash: keep the object.

    Args:
        trading_day: name of the trading day that holds an instant in ns.
        clock: dates the opening of books, order states and kills.
        keep_quotes: whether quotes are kept, or only counted.

    Attributes:
        audit: the audit log, the same rows that PostgreSQL would hold.
    """

    def __init__(
        self, *, trading_day: Callable[[int], str], clock: Clock, keep_quotes: bool = False
    ) -> None:
        self._trading_day = trading_day
        self._clock = clock
        self._keep_quotes = keep_quotes
        self._books: dict[str, AccountBooks] = {}
        self._candles: dict[CandleKey, Candle] = {}
        self._built: set[CandleKey] = set()
        self._ticks = 0
        self.quotes: list[Quote] = []
        self.intents: dict[str, tuple[OrderIntent, bytes]] = {}
        self.signals: dict[str, tuple[Signal, str]] = {}
        self.journal: list[JournalRecord] = []
        self.audit: list[AuditRow] = []

    @property
    def fault(self) -> str:
        """Always empty."""
        return ""

    def lead(self, epoch: int) -> None:
        """Nobody else writes here."""

    async def open(self) -> None:
        """Nothing to connect."""

    async def close(self) -> None:
        """Nothing to disconnect; the content stays."""

    async def run(self) -> None:
        """Nothing waits to be written."""

    async def flush(self) -> None:
        """Everything is written at once."""

    async def record_events(self, events: Sequence[MarketEvent]) -> None:
        """Keep or count the quotes among `events`."""
        quotes = [event.payload for event in events if type(event.payload) is Quote]
        self._ticks += len(quotes)
        if self._keep_quotes:
            self.quotes.extend(quotes)

    async def record_candles(self, candles: Sequence[Candle], source: str) -> None:
        """Keep candles; of two of one start the first stays, unless it was built from quotes."""
        for candle in candles:
            key = (candle.instrument, candle.granularity, candle.time_ns)
            if key not in self._candles or (key in self._built and source != BUILT):
                self._candles[key] = candle
                (self._built.add if source == BUILT else self._built.discard)(key)

    async def record_journal(self, record: JournalRecord) -> None:
        """Keep a journal record."""
        self.journal.append(record)

    async def record_signal(self, signal: Signal, verdict: str) -> None:
        """Keep a signal; once accepted it stays so."""
        known = self.signals.get(signal.id)
        if known is None:
            self.signals[signal.id] = (signal, verdict)
        elif known[1] != "accepted":
            self.signals[signal.id] = (known[0], verdict)

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        """Keep intent, signal and risk snapshot.

        Raises:
            InvariantViolated: an intent of this id exists already.
        """
        if intent.id in self.intents:
            raise InvariantViolated(f"An order intent {intent.id} exists already.")
        self.intents[intent.id] = (intent, snapshot)
        await self.record_signal(signal, "accepted")
        order = lines.Order(
            intent.id,
            intent.signal_id,
            intent.purpose,
            intent.instrument,
            intent.units,
            OrderState.INTENT,
            trade_id=intent.trade_id,
        )
        self._of(intent.account_id).orders[intent.id] = order
        body = intent_body(intent, snapshot)
        self._chain(intent.created_ns, intent.account_id, "intent", body)

    async def rehearse(self) -> None:
        """Nothing goes cold here."""

    async def record_order_state(
        self, intent_id: str, state: OrderState, order_id: int | None, reason: str
    ) -> None:
        """Move one order. A settled order stays as it is (FILLED may close)."""
        if intent_id not in self.intents:
            raise InvariantViolated(f"There is no order intent {intent_id}.")
        account_id = self.intents[intent_id][0].account_id
        orders = self._of(account_id).orders
        moved = books.move(orders[intent_id], state, order_id, reason)
        if moved is not orders[intent_id]:
            orders[intent_id] = moved
            body = state_body(intent_id, state, order_id, reason)
            self._chain(self._clock.now_ns(), account_id, "order_state", body)

    async def record_kill(self, account_id: str, reason: str) -> None:
        """Latch the kill switch with `reason`; an empty reason releases it."""
        mine = self._of(account_id)
        mine.account = msgspec.structs.replace(mine.account, killed=reason)
        if not reason:
            mine.released = mine.account.newest_transaction_id
        self._chain(self._clock.now_ns(), account_id, "kill", reason.encode())

    async def apply_account_events(
        self, account_id: str, events: Sequence[AccountEvent]
    ) -> tuple[int, ...]:
        """Apply broker transactions in this order, all or nothing; ids not applied before."""
        mine = self._of(account_id)
        touched = ((key, mine.trades.get(key)) for key in keys(events).trades)
        trades = {key: trade for key, trade in touched if trade and trade.closed_ns is None}
        held = lines.Lines(mine.account, mine.orders, trades)
        changes = apply_all(events, held, mine.applied, self._trading_day)
        mine.account = changes.account
        mine.applied.update(changes.ids)
        mine.applied -= {n for n in mine.applied if n <= mine.account.last_transaction_id}
        mine.orders.update(changes.orders)
        mine.trades.update(changes.trades)
        for event in changes.events:
            if isinstance(event, OrderFilled) and (gain := event.pl + event.financing):
                mine.results.append((event.transaction_id, event.time_ns, gain))
            self._chain(event.time_ns, account_id, "transaction", transaction_body(event))
        return changes.ids

    async def record_baseline(self, account_id: str, snapshot: AccountSnapshot) -> bool:
        """Open the books of an account at `snapshot`; False if they were open already."""
        mine = self._of(account_id)
        if mine.account.balance is not None or mine.account.newest_transaction_id:
            return False
        day = self._trading_day(self._clock.now_ns())
        signals = {name: order.signal_id for name, order in mine.orders.items()}
        account, trades = books.baseline(snapshot, day, signals)
        mine.account = msgspec.structs.replace(account, killed=mine.account.killed)
        mine.trades = {trade.trade_id: trade for trade in trades}
        return True

    async def load_state(self, account_id: str) -> StoredState:
        """What recovery starts from."""
        mine = self._of(account_id)
        orders = [
            StoredOrder(self.intents[name][0], order.state, order.order_id, order.reason)
            for name, order in mine.orders.items()
            if order.state not in lines.FINISHED
        ]
        return StoredState(
            last_transaction_id=mine.account.last_transaction_id,
            orders=tuple(sorted(orders, key=lambda o: (o.intent.created_ns, o.intent.id))),
            positions=tuple(
                _position(mine.trades[key])
                for key in sorted(mine.trades)
                if mine.trades[key].closed_ns is None and mine.trades[key].intent_id
            ),
            balance=mine.account.balance,
            day=mine.account.day,
            killed=mine.account.killed,
            recent=recent_of(
                (self.intents[name][0] for name in mine.orders),
                mine.trades.values(),
                mine.results,
                mine.released,
            ),
        )

    async def totals(self, account_id: str) -> StoredTotals:
        """Counts and sums over everything kept."""
        mine = self._of(account_id)
        states = Counter(order.state.value for order in mine.orders.values())
        return StoredTotals(
            candles=len(self._candles),
            ticks=self._ticks,
            signals=len(self.signals),
            intents=len(mine.orders),
            orders_by_state=dict(sorted(states.items())),
            closed_trades=sum(t.closed_ns is not None for t in mine.trades.values()),
            trading_results_pl=sum((t.profit_loss for t in mine.trades.values()), Decimal(0)),
        )

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """Stored candles that start in [from_ns, to_ns), oldest first."""
        return sorted(
            (
                candle
                for (name, length, time_ns), candle in self._candles.items()
                if name == instrument and length is granularity and from_ns <= time_ns < to_ns
            ),
            key=lambda candle: candle.time_ns,
        )

    def _chain(self, time_ns: int, account_id: str, kind: str, body: bytes) -> None:
        previous = self.audit[-1].hash if self.audit else ORIGIN
        row = AuditRow(len(self.audit) + 1, time_ns, account_id, kind, body)
        self.audit.append(chained(previous, row))

    def _of(self, account_id: str) -> AccountBooks:
        return self._books.setdefault(account_id, AccountBooks())


def _position(trade: lines.Trade) -> StoredPosition:
    return StoredPosition(
        trade_id=trade.trade_id,
        intent_id=trade.intent_id,
        signal_id=trade.signal_id,
        instrument=trade.instrument,
        units=trade.units,
        price=trade.price,
        opened_ns=trade.opened_ns,
        realized_pl=trade.realized_pl,
        financing=trade.financing,
    )
