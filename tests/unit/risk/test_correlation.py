"""Which pairs move together, and how far prices move."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.market import Candle, Granularity
from sepd.risk.correlation import correlations, mean_true_range, together
from tests.support.trading import EUR_GBP, EUR_USD, GBP_USD, NOON, USD_CHF, USD_JPY

STEP = 300
PRICES = st.lists(st.integers(50_000, 150_000), min_size=4, max_size=30)


def candle(high: int, low: int, close: int) -> Candle:
    bid = low, high, low, close
    return Candle("EUR_USD", Granularity.M5, NOON, *bid, *(price + 9 for price in bid))


def closes(prices: list[int], first: int = 0) -> dict[int, int]:
    """One close a step."""
    return {STEP * (first + number): price for number, price in enumerate(prices)}


def test_pairs_that_move_alike_and_against_each_other() -> None:
    up = [100_000, 101_000, 100_500, 102_000, 101_000]
    down = [round(10**10 / price) for price in up]
    moves = {"A_B": closes(up), "B_A": closes(down), "C_D": closes(up), "E_F": closes([5] * 5)}
    found = correlations(moves, STEP, 4)
    assert found[frozenset(("A_B", "C_D"))] == Decimal("1.0000")
    assert found[frozenset(("A_B", "B_A"))] < Decimal("-0.99")
    assert frozenset(("A_B", "E_F")) not in found


def test_only_instants_in_common_are_compared() -> None:
    prices = [100_000, 101_000, 100_500, 102_000, 101_000, 100_000]
    one, late = closes(prices), closes(prices[2:], first=2)
    assert correlations({"A_B": one, "C_D": late}, STEP, 3) == {
        frozenset(("A_B", "C_D")): Decimal("1.0000")
    }
    assert correlations({"A_B": one, "C_D": late}, STEP, 4) == {}
    assert correlations({"A_B": one, "C_D": closes(prices, first=6)}, STEP, 2) == {}


def test_no_return_spans_a_hole() -> None:
    prices = [100_000, 101_000, 100_500, 102_000]
    one, holed = closes(prices), closes(prices)
    del holed[STEP]
    assert correlations({"A_B": one, "C_D": holed}, STEP, 2) == {}


@given(PRICES)
def test_a_correlation_is_between_minus_one_and_one(prices: list[int]) -> None:
    found = correlations({"A_B": closes(prices), "C_D": closes(prices[::-1])}, STEP, 2)
    assert all(-1 <= value <= 1 for value in found.values())


@pytest.mark.parametrize(
    ("other", "wanted"), [(EUR_USD, 1), (GBP_USD, 1), (EUR_GBP, 1), (USD_CHF, -1), (USD_JPY, -1)]
)
def test_without_measurement_currencies_decide(other: object, wanted: int) -> None:
    assert isinstance(other, type(EUR_USD))
    assert together(EUR_USD, other, {}) == wanted
    assert together(other, EUR_USD, {}) == wanted


def test_pairs_without_a_common_currency_are_strangers_until_measured() -> None:
    assert together(EUR_GBP, USD_JPY, {}) == 0
    measured = {frozenset(("EUR_GBP", "USD_JPY")): Decimal("0.9")}
    assert together(EUR_GBP, USD_JPY, measured) == Decimal("0.9")


def test_a_true_range_reaches_to_the_close_before() -> None:
    rows = [candle(110, 100, 105), candle(120, 110, 118), candle(112, 108, 110)]
    # 120 − 105 and 118 − 108
    assert mean_true_range(rows) == 13
    assert mean_true_range(rows[:2]) == 15
    assert mean_true_range(rows[:1]) == 0
