"""Size never risks more than it may, and is always one the broker takes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sepd.risk.sizing import (
    risk_fraction,
    round_units,
    stop_points,
    target_points,
    units_at_risk,
)
from tests.support.gate import limits
from tests.support.trading import EUR_USD, USD_JPY

FINE = replace(EUR_USD, trade_units_precision=2, minimum_trade_size=Decimal("0.5"))
MONEY = st.decimals(min_value="0.01", max_value=10_000_000, places=2)
RATE = st.decimals(min_value="0.001", max_value=200, places=5)


@given(MONEY, st.integers(1, 50_000), RATE, st.sampled_from([EUR_USD, USD_JPY, FINE]))
def test_the_loss_at_the_stop_is_within_the_money_and_no_unit_is_wasted(
    money: Decimal, distance: int, rate: Decimal, pair: object
) -> None:
    assert isinstance(pair, type(EUR_USD))
    units = units_at_risk(money, distance, rate, pair)
    loss_per_unit = distance * pair.point * rate
    step = Decimal(1).scaleb(-pair.trade_units_precision)
    assert units * loss_per_unit <= money
    assert round_units(units, pair) == units
    if units:
        assert units >= pair.minimum_trade_size
        assert (units + step) * loss_per_unit > money
    else:
        assert pair.minimum_trade_size * loss_per_unit > money


@pytest.mark.parametrize(("money", "units"), [("0.3999", 0), ("0.4", 1), ("0.7999", 1), ("0.8", 2)])
def test_size_is_rounded_down_to_whole_units(money: str, units: int) -> None:
    # 100 points of 0.00001 at 400 home per quote: 0.4 home per unit
    assert units_at_risk(Decimal(money), 100, Decimal(400), EUR_USD) == units


@pytest.mark.parametrize(("money", "units"), [("0.1999", "0"), ("0.2", "0.5"), ("0.205", "0.51")])
def test_size_keeps_the_decimals_that_the_broker_takes(money: str, units: str) -> None:
    assert units_at_risk(Decimal(money), 100, Decimal(400), FINE) == Decimal(units)


@pytest.mark.parametrize(("volatility", "stop"), [(0, 300), (200, 300), (201, 302), (1_000, 1_500)])
def test_a_stop_is_no_nearer_than_prices_move(volatility: int, stop: int) -> None:
    assert stop_points(EUR_USD, limits(volatility_stops="1.5"), volatility) == stop


def test_the_target_keeps_its_proportion_to_the_stop() -> None:
    assert target_points(300, limits()) == 450
    assert target_points(1_500, limits()) == 2_250


def test_points_of_a_pip_are_the_instruments_own() -> None:
    assert stop_points(USD_JPY, limits(), 0) == 300


@pytest.mark.parametrize(
    ("confidence", "fraction"),
    [
        (0, "0"),
        (6_553, "0"),  # 0.39996: p − (1 − p) / 1.5 is 0 at p = 0.4
        (6_554, "0.00001017"),
        (8_192, "0.01"),  # 0.25 × (0.5 − 0.5 / 1.5) = 0.0417, capped
        (16_384, "0.01"),
    ],
)
def test_kelly_only_makes_a_trade_smaller(confidence: int, fraction: str) -> None:
    found = risk_fraction(confidence, limits(kelly_fraction="0.25"))
    assert round(found, 8) == Decimal(fraction)


@given(st.integers(0, 16_384))
def test_without_kelly_confidence_sets_no_size(confidence: int) -> None:
    assert risk_fraction(confidence, limits()) == Decimal("0.01")


@given(st.integers(0, 16_384), st.decimals(min_value=0, max_value="0.5", places=3))
def test_no_confidence_risks_more_than_the_cap(confidence: int, kelly: Decimal) -> None:
    assert 0 <= risk_fraction(confidence, limits(kelly_fraction=kelly)) <= Decimal("0.01")
