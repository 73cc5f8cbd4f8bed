"""What became of orders, counted."""

from __future__ import annotations

from collections import Counter

from sepd.domain.order import OrderState
from sepd.execution.machine import Order

REFUSED = frozenset({OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED})
FILLED = frozenset({OrderState.FILLED, OrderState.PARTIAL, OrderState.CLOSED})


class Outcomes:
    """Counts what became of orders: told of every order that changed."""

    def __init__(self) -> None:
        self._filled_ids: set[str] = set()
        self.filled = 0
        self.refused: Counter[str] = Counter()

    def __call__(self, order: Order) -> None:
        """Note a change; an order is counted once as filled or once as refused."""
        intent_id = order.intent.id
        if order.state in FILLED and intent_id not in self._filled_ids:
            self.filled += 1
            self._filled_ids.add(intent_id)
        elif order.state in REFUSED and intent_id not in self._filled_ids:
            self.refused[order.reason or order.state.value] += 1
        if order.state is OrderState.CLOSED:
            self._filled_ids.discard(intent_id)
