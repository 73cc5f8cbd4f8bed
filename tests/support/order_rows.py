"""An entry and an exit, and the broker's rows about them."""

from __future__ import annotations

from decimal import Decimal

from sepd.domain.account import (
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    TradeOpen,
    TradeReduce,
)
from sepd.domain.order import OrderIntent
from sepd.execution.intent import exit_intent
from tests.support.gate import held
from tests.support.trading import ACCOUNT, NOON, make_entry, make_signal

ZERO = Decimal(0)
ENTRY = make_entry(make_signal(), units=1_000, checkpoint=7)
EXIT = exit_intent(ACCOUNT, "S1", held(number=5), now_ns=NOON, checkpoint=7)


def accepted(number: int, intent: OrderIntent = ENTRY) -> OrderAccepted:
    return OrderAccepted(number, NOON, "MARKET", "CLIENT_ORDER", client_order_id=intent.id)


def filled(number: int, intent: OrderIntent = ENTRY, units: int | None = None) -> OrderFilled:
    size = intent.units if units is None else Decimal(units)
    opened = TradeOpen(number, size, 110_000) if intent is ENTRY else None
    leg = TradeReduce(5, size, 110_000, ZERO)
    closed = (leg,) if intent is EXIT and units is None else ()
    return fill_row(number, size, intent.id, opened, closed)


def fill_row(
    number: int,
    units: Decimal,
    name: str,
    opened: TradeOpen | None = None,
    closed: tuple[TradeReduce, ...] = (),
) -> OrderFilled:
    return OrderFilled(
        number,
        NOON,
        number - 1,
        "EUR_USD",
        units,
        110_000,
        "MARKET_ORDER",
        ZERO,
        ZERO,
        ZERO,
        Decimal(100_000),
        name,
        opened,
        closed=closed,
    )


def cancelled(number: int, intent: OrderIntent = ENTRY) -> OrderCancelled:
    return OrderCancelled(number, NOON, number - 1, "MARKET_HALTED", intent.id)


def rejected(number: int, intent: OrderIntent = ENTRY) -> OrderRejected:
    return OrderRejected(number, NOON, "MARKET_ORDER_REJECT", "UNITS_INVALID", intent.id)
