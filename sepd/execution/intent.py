"""Intents with identifiers derived from what they mean, so that one decision is one order."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from sepd.domain.account import OpenTrade
from sepd.domain.ids import client_order_id
from sepd.domain.order import OrderIntent, Purpose
from sepd.domain.signal import Signal


def entry_intent(
    account_id: str,
    signal: Signal,
    *,
    units: Decimal,
    price_bound: int,
    stop_loss: int,
    take_profit: int,
    now_ns: int,
    checkpoint: int,
) -> OrderIntent:
    """The one entry that `signal` may cause; it expires with the signal."""
    return OrderIntent(
        id=client_order_id(account_id, signal.id, "entry", 0),
        account_id=account_id,
        signal_id=signal.id,
        purpose=Purpose.ENTRY,
        instrument=signal.instrument,
        units=units,
        created_ns=now_ns,
        expires_ns=signal.valid_until_ns,
        checkpoint=checkpoint,
        price_bound=price_bound,
        stop_loss=stop_loss,
        take_profit=take_profit,
    )


def exit_intent(
    account_id: str, signal_id: str, trade: OpenTrade, *, now_ns: int, checkpoint: int
) -> OrderIntent:
    """Close all of `trade`; reduce-only by naming it, so it may be repeated."""
    return OrderIntent(
        id=client_order_id(account_id, signal_id, _exit_leg(trade.trade_id), 0),
        account_id=account_id,
        signal_id=signal_id,
        purpose=Purpose.EXIT,
        instrument=trade.instrument,
        units=-trade.units,
        created_ns=now_ns,
        expires_ns=now_ns,
        checkpoint=checkpoint,
        trade_id=trade.trade_id,
    )


def repeated(intent: OrderIntent, *, now_ns: int, checkpoint: int) -> OrderIntent:
    """The next attempt at an exit: an intent of its own, so each is sent at most once.

    Raises:
        ValueError: `intent` is an entry; entries have one attempt.
    """
    if intent.purpose is not Purpose.EXIT or intent.trade_id is None:
        raise ValueError("Only an exit may be attempted again.")
    attempt = intent.attempt + 1
    leg = _exit_leg(intent.trade_id)
    return replace(
        intent,
        id=client_order_id(intent.account_id, intent.signal_id, leg, attempt),
        attempt=attempt,
        created_ns=now_ns,
        checkpoint=checkpoint,
    )


def _exit_leg(trade_id: int) -> str:
    return f"exit:{trade_id}"
