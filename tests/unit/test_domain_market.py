"""Prices become integer points exactly, times integer nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.ids import client_order_id, ulid
from sepd.domain.market import Granularity, Instrument, parse_points
from sepd.domain.time import format_time, parse_time
from sepd.errors import InputError

EUR_USD = Instrument("EUR_USD")
USD_JPY = Instrument("USD_JPY", display_precision=3, pip_location=-2)


@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=0, max_value=6))
def test_points_and_prices_are_each_other_s_inverse(points: int, precision: int) -> None:
    instrument = Instrument("EUR_USD", display_precision=precision)
    price = instrument.to_price(points)
    assert instrument.to_points(price) == points
    assert parse_points(f"{price:f}", precision) == points


@given(st.integers(-(10**9), 10**9), st.integers(0, 10))
def test_a_price_is_written_with_all_its_decimals(points: int, precision: int) -> None:
    instrument = Instrument("EUR_USD", display_precision=precision)
    assert instrument.price_text(points) == f"{instrument.to_price(points):f}"


def test_short_and_zero_padded_prices_are_exact() -> None:
    assert parse_points("1.3187", 5) == 131870
    assert parse_points("1.318700000", 5) == 131870
    assert parse_points("107", 3) == 107000


@pytest.mark.parametrize(
    "text", ["", ".", ".5", "-1.2", "+1", "1e5", "1.234567", "nan", "1_0", "١.٢", "1.2.3", " 1.2"]
)
def test_what_is_not_a_plain_price_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a price"):
        parse_points(text, 5)


def test_a_price_finer_than_a_point_is_refused() -> None:
    with pytest.raises(InputError, match="more than 3 decimals"):
        USD_JPY.to_points(Decimal("107.1234"))


def test_pip_and_currencies_follow_the_instrument() -> None:
    assert EUR_USD.points_per_pip == 10
    assert USD_JPY.points_per_pip == 10
    assert (USD_JPY.base, USD_JPY.quote) == ("USD", "JPY")
    assert USD_JPY.point == Decimal("0.001")


@given(st.integers(min_value=0, max_value=4 * 10**18))
def test_times_survive_their_text(time_ns: int) -> None:
    assert parse_time(format_time(time_ns)) == time_ns


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2090, 1, 1)))
def test_times_agree_with_the_standard_library(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    expected = int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000
    assert parse_time(moment.isoformat().replace("+00:00", "Z")) == expected


@pytest.mark.parametrize(
    "text",
    ["", "2014", "2014-13-01T00:00:00Z", "2014-05-01T24:00:00Z", "2014-05-01T00:00:00", "x" * 99],
)
def test_what_is_not_a_utc_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a UTC time"):
        parse_time(text)


def test_candles_are_utc_aligned() -> None:
    noon = parse_time("2014-05-01T12:07:31Z")
    assert format_time(Granularity.M5.floor(noon)) == "2014-05-01T12:05:00.000000000Z"
    assert Granularity.H4.seconds == 14_400
    assert Granularity.D.seconds == 86_400


def test_ids_sort_by_time_and_depend_on_every_part() -> None:
    early, late = ulid(10**18, "a"), ulid(2 * 10**18, "a")
    assert early < late
    assert len(early) == 26
    assert ulid(10**18, "a", "b") != ulid(10**18, "ab")
    assert client_order_id("1", "s", "entry", 0) != client_order_id("1", "s", "entry", 1)
