"""An order is counted once, as filled or as refused."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from sepd.domain.order import OrderIntent, OrderState, Purpose
from sepd.execution.machine import Order
from sepd.execution.outcomes import Outcomes

INTENT = OrderIntent(
    id="a",
    account_id="1",
    signal_id="s",
    purpose=Purpose.ENTRY,
    instrument="EUR_USD",
    units=Decimal(1),
    created_ns=0,
    expires_ns=1,
    checkpoint=0,
)


def told(*states: OrderState, reason: str = "") -> Outcomes:
    outcomes = Outcomes()
    for state in states:
        outcomes(Order(INTENT, state, reason=reason))
    return outcomes


def test_a_fill_counts_once_however_it_comes_about() -> None:
    path = (OrderState.SENT, OrderState.PARTIAL, OrderState.FILLED, OrderState.CLOSED)
    outcomes = told(*path)
    assert outcomes.filled == 1
    assert outcomes.refused.total() == 0


def test_a_refusal_counts_by_its_reason() -> None:
    assert told(OrderState.SENT, OrderState.CANCELLED, reason="MARKET_HALTED").refused == {
        "MARKET_HALTED": 1
    }
    assert told(OrderState.EXPIRED).refused == {"EXPIRED": 1}


def test_a_partial_fill_that_is_cancelled_is_a_fill() -> None:
    outcomes = told(OrderState.PARTIAL, OrderState.CANCELLED, reason="TIME_IN_FORCE_EXPIRED")
    assert (outcomes.filled, outcomes.refused.total()) == (1, 0)


def test_two_orders_are_two() -> None:
    outcomes = told(OrderState.FILLED)
    outcomes(Order(replace(INTENT, id="b"), OrderState.FILLED))
    assert outcomes.filled == 2
