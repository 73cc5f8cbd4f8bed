"""The store in memory, failing when told to; what it holds can be looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from sepd.clock import EventClock
from sepd.domain.account import AccountEvent
from sepd.domain.order import OrderIntent, OrderState
from sepd.domain.signal import Signal
from sepd.errors import TransientError
from sepd.risk.day import trading_day
from sepd.storage.memory import MemoryStore
from tests.support.trading import ACCOUNT, NOON


class FaultyStore(MemoryStore):
    """Durable for as long as the object lives: a crash drops everything else.

    `commit_faults`, `record_faults` and `apply_faults` say of coming calls whether they fail
    (True); where `lost_answers` says so, a commit takes effect and fails all the same.
    """

    def __init__(self) -> None:
        super().__init__(trading_day=trading_day, clock=EventClock(NOON))
        self.commit_faults: deque[bool] = deque()
        self.lost_answers: deque[bool] = deque()
        self.record_faults: deque[bool] = deque()
        self.apply_faults: deque[bool] = deque()

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        """Commit, or fail as told."""
        if self.commit_faults and self.commit_faults.popleft():
            raise TransientError("The database did not answer in time.")
        await super().commit_intent(intent, signal, snapshot)
        if self.lost_answers and self.lost_answers.popleft():
            raise TransientError("The answer to the commit was lost.")

    async def record_order_state(
        self, intent_id: str, state: OrderState, order_id: int | None, reason: str
    ) -> None:
        """Record, or fail as told."""
        if self.record_faults and self.record_faults.popleft():
            raise TransientError("The database did not answer in time.")
        await super().record_order_state(intent_id, state, order_id, reason)

    async def apply_account_events(
        self, account_id: str, events: Sequence[AccountEvent]
    ) -> tuple[int, ...]:
        """Apply, or fail as told."""
        if self.apply_faults and self.apply_faults.popleft():
            raise TransientError("The database did not answer in time.")
        return await super().apply_account_events(account_id, events)

    @property
    def last(self) -> int:
        """Every transaction up to this one has been applied."""
        return self._of(ACCOUNT).account.last_transaction_id

    @property
    def balance(self) -> Decimal | None:
        """Balance after the newest of them."""
        return self._of(ACCOUNT).account.balance

    def state(self, intent_id: str) -> OrderState:
        """Where an order stands; NEW if its intent was never committed."""
        order = self._of(ACCOUNT).orders.get(intent_id)
        return order.state if order else OrderState.NEW

    def reason(self, intent_id: str) -> str:
        """Why it stands there."""
        return self._of(ACCOUNT).orders[intent_id].reason

    def open_trades(self) -> set[int]:
        """Trades that are open."""
        trades = self._of(ACCOUNT).trades
        return {number for number, trade in trades.items() if trade.closed_ns is None}
