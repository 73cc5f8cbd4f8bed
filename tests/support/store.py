"""The part of a store that execution needs, in memory, with faults to order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from sepd.domain.account import (
    AccountEvent,
    AccountSnapshot,
    BalanceChanged,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
)
from sepd.domain.event import MarketEvent
from sepd.domain.market import Candle, Granularity
from sepd.domain.order import OrderIntent, OrderState, Purpose
from sepd.domain.signal import Signal
from sepd.errors import InvariantViolated, TransientError
from sepd.ports import JournalRecord, StoredOrder, StoredPosition, StoredState, StoredTotals

FINAL = {OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.CLOSED}


class FakeStore:
    """Durable for as long as the object lives: a crash drops everything else.

    `commit_faults` and `apply_faults` say of coming calls whether they fail (True).
    """

    def __init__(self) -> None:
        self.orders: dict[str, StoredOrder] = {}
        self.positions: dict[int, StoredPosition] = {}
        self.balance: Decimal | None = None
        self.last = 0
        self.killed = ""
        self.transitions: list[tuple[str, OrderState]] = []
        self.commit_faults: deque[bool] = deque()
        self.apply_faults: deque[bool] = deque()

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def run(self) -> None:
        pass

    @property
    def fault(self) -> str:
        return ""

    async def record_baseline(self, account_id: str, snapshot: AccountSnapshot) -> bool:
        fresh = self.balance is None
        if fresh:
            self.balance = snapshot.balance
            self.last = snapshot.last_transaction_id
        return fresh

    async def totals(self, account_id: str) -> StoredTotals:
        return StoredTotals(0, 0, 0, len(self.orders), {}, 0, Decimal(0))

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        return []

    async def load_state(self, account_id: str) -> StoredState:
        orders = tuple(order for order in self.orders.values() if order.state not in FINAL)
        return StoredState(
            self.last, orders, tuple(self.positions.values()), self.balance, None, self.killed
        )

    async def record_events(self, events: Sequence[MarketEvent]) -> None:
        pass

    async def record_candles(self, candles: Sequence[Candle], source: str) -> None:
        pass

    async def record_journal(self, record: JournalRecord) -> None:
        pass

    async def flush(self) -> None:
        pass

    async def record_signal(self, signal: Signal, verdict: str) -> None:
        pass

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        if self.commit_faults and self.commit_faults.popleft():
            raise TransientError("The database did not answer in time.")
        if intent.id in self.orders:
            raise InvariantViolated(f"The intent {intent.id} exists already.")
        self.orders[intent.id] = StoredOrder(intent, OrderState.INTENT)

    async def record_order_state(
        self, intent_id: str, state: OrderState, order_id: int | None, reason: str
    ) -> None:
        self._move(intent_id, state, order_id, reason)

    async def apply_account_event(self, account_id: str, event: AccountEvent) -> bool:
        if self.apply_faults and self.apply_faults.popleft():
            raise TransientError("The database did not answer in time.")
        if event.transaction_id <= self.last:
            return False
        self.last = event.transaction_id
        match event:
            case OrderAccepted(client_order_id=name):
                self._move(name, OrderState.ACK, event.transaction_id, "")
            case OrderCancelled(client_order_id=name):
                self._move(name, OrderState.CANCELLED, event.order_id, event.reason)
            case OrderRejected(client_order_id=name):
                self._move(name, OrderState.REJECTED, None, event.reason)
            case OrderFilled():
                self._fill(event)
            case BalanceChanged():
                self.balance = event.balance
            case _:
                pass
        return True

    async def record_kill(self, account_id: str, reason: str) -> None:
        self.killed = reason

    def _move(self, name: str, state: OrderState, order_id: int | None, reason: str) -> None:
        stored = self.orders.get(name)
        if stored:
            self.orders[name] = replace(stored, state=state, order_id=order_id, reason=reason)
            self.transitions.append((name, state))

    def _fill(self, event: OrderFilled) -> None:
        self.balance = event.balance
        stored = self.orders.get(event.client_order_id)
        if stored:
            exit_ = stored.intent.purpose is Purpose.EXIT
            state = OrderState.CLOSED if exit_ else OrderState.FILLED
            self._move(event.client_order_id, state, event.order_id, "")
        if event.opened and stored:
            self.positions[event.opened.trade_id] = StoredPosition(
                event.opened.trade_id,
                stored.intent.id,
                stored.intent.signal_id,
                event.instrument,
                event.opened.units,
                event.opened.price,
                event.time_ns,
            )
        for part in event.closed:
            position = self.positions.pop(part.trade_id, None)
            if position:
                self._move(position.intent_id, OrderState.CLOSED, None, "")
