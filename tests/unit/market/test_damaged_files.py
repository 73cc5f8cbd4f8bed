"""A little of `scripts/fuzz` in every test run."""

from __future__ import annotations

import importlib.util
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.market import parse_points
from sepd.domain.time import format_time, parse_time
from sepd.errors import InputError
from tests.fuzz.parsers import PARSERS

INPUTS = 1_000


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_input_is_refused_or_read_rightly(name: str) -> None:
    if name == "parquet" and importlib.util.find_spec("pyarrow") is None:
        pytest.skip("Parquet needs the extra sepd[parquet]")
    outcomes = {PARSERS[name](random.Random(f"test {name} {n}")) for n in range(INPUTS)}
    assert outcomes == {"accepted", "refused"}


@given(st.text(max_size=40))
def test_no_text_crashes_the_parsers_of_prices_and_times(text: str) -> None:
    for parse in (lambda one: parse_points(one, 5), parse_time):
        try:
            parse(text)
        except InputError:
            continue


@given(st.integers(0, 4_102_444_799_999_999_999))
def test_a_time_survives_its_text(time_ns: int) -> None:
    assert parse_time(format_time(time_ns)) == time_ns


@given(st.integers(0, 10**12), st.integers(0, 8))
def test_a_price_survives_its_text(points: int, precision: int) -> None:
    text = f"{points // 10**precision}.{points % 10**precision:0{precision}d}"
    assert parse_points(text if precision else str(points), precision) == points
