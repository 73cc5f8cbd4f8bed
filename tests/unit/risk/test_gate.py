"""What the gate answers: the entry that it sizes, what it saw, and exits."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from sepd.domain.signal import Action
from sepd.execution.intent import exit_intent
from sepd.risk.gate import Accepted, Refused, RiskSnapshot, assess, assess_exit
from sepd.risk.reason import Reason
from tests.support.gate import held, limits, make_book, request
from tests.support.trading import ACCOUNT, NOON, S, make_signal, quote


def test_a_plain_entry_is_accepted_with_stop_target_and_bound() -> None:
    answer = assess(request(), make_book(), limits())
    assert isinstance(answer, Accepted)
    # 1 % of 100,000 GBP over (30 + 10) pips of 0.8 GBP: 1000 / 0.0032
    assert answer.units == 312_500
    assert answer.stop_loss == 109_700
    assert answer.take_profit == 110_450
    assert answer.price_bound == 110_100


def test_a_sale_is_its_mirror() -> None:
    answer = assess(request(signal=make_signal(action=Action.SELL)), make_book(), limits())
    assert isinstance(answer, Accepted)
    assert answer.units == -312_500
    assert answer.stop_loss == 110_290
    assert (answer.take_profit, answer.price_bound) == (109_540, 109_890)


def test_the_snapshot_tells_what_the_gate_saw() -> None:
    answer = assess(request(), make_book(held()), limits())
    assert isinstance(answer, Accepted)
    seen = msgspec.json.decode(answer.snapshot, type=RiskSnapshot)
    assert (seen.balance, seen.units, seen.risk) == (
        Decimal(100_000),
        Decimal(312_500),
        Decimal(1_000),
    )
    assert seen.positions == 1
    refusal = assess(request(now_ns=NOON + 400 * S), make_book(), limits())
    assert isinstance(refusal, Refused)
    seen = msgspec.json.decode(refusal.snapshot, type=RiskSnapshot)
    assert seen.reason is Reason.SIGNAL_EXPIRED


def test_a_close_signal_is_no_entry() -> None:
    with pytest.raises(ValueError, match="assess_exit"):
        assess(request(signal=make_signal(action=Action.CLOSE)), make_book(), limits())


def test_the_gate_sizes_no_trade_above_the_cap() -> None:
    answer = assess(request(), make_book(), limits(max_units=100_000))
    assert isinstance(answer, Accepted)
    assert answer.units == 100_000


def test_a_conversion_takes_the_dear_side_and_the_markup() -> None:
    book = make_book()
    book.observe(quote("GBP_USD", 125_000, 160_000))
    answer = assess(request(), book, limits(conversion_markup=Decimal("0.1")))
    assert isinstance(answer, Accepted)
    # 1000 GBP / (0.0040 USD × 0.8 × 1.1)
    assert answer.units == 284_090


def test_an_exit_is_always_possible_but_not_twice() -> None:
    book = make_book(held(number=5))
    book.killed = "operator"
    book.ready = False
    assert assess_exit(5, book) is None
    book.reserve(exit_intent(ACCOUNT, "S1", book.trades[5], now_ns=NOON, checkpoint=10))
    refusal = assess_exit(5, book)
    assert refusal is not None
    assert refusal.reason is Reason.EXIT_PENDING
    gone = assess_exit(6, book)
    assert gone is not None
    assert gone.reason is Reason.NOTHING_TO_CLOSE
