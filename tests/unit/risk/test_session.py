"""Closed and closing markets, weekends, and the trading day across clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.time import parse_time
from sepd.market.calendar import Calendar, load_calendar
from sepd.risk.day import trading_day
from sepd.risk.gate import Accepted, assess
from sepd.risk.reason import Reason
from sepd.risk.session import held_over_close
from tests.support.gate import limits, make_book, request, verdict
from tests.support.trading import NOON, S, make_signal, quote

NEW_YORK = ZoneInfo("America/New_York")
HOUR = 3_600 * S


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return load_calendar()


def weekly_close(calendar: Calendar) -> int:
    """Close of the week of NOON, a Wednesday."""
    at_ns = NOON
    while True:
        close_ns = calendar.next_close("EUR_USD", at_ns)
        at_ns = calendar.next_open("EUR_USD", close_ns)
        if at_ns - close_ns > 24 * HOUR:
            return close_ns


@pytest.mark.parametrize(
    ("before_ns", "wanted"),
    [
        (900 * S + 1, Reason.ACCEPTED),
        (900 * S, Reason.ACCEPTED),
        (900 * S - 1, Reason.MARKET_CLOSING),
        (1, Reason.MARKET_CLOSING),
        (0, Reason.MARKET_CLOSED),
        (-HOUR, Reason.MARKET_CLOSED),
    ],
)
def test_no_entry_in_a_closed_or_closing_market(
    calendar: Calendar, before_ns: int, wanted: Reason
) -> None:
    now_ns = weekly_close(calendar) - before_ns
    book = make_book(quoted_ns=now_ns)
    book.calendar = calendar
    signal = make_signal(created_ns=now_ns)
    assert verdict(book, signal=signal, now_ns=now_ns) is wanted


def test_a_trade_that_may_be_held_over_the_weekend_is_smaller(calendar: Calendar) -> None:
    book = make_book()
    book.calendar = calendar
    close_ns = weekly_close(calendar)
    sizes = {}
    for exit_ns in (close_ns, close_ns + 12 * HOUR, 0):
        answer = assess(request(exit_by_ns=exit_ns), book, limits(weekend_gap=3))
        assert isinstance(answer, Accepted)
        sizes[exit_ns] = answer.units
    # 1000 GBP over 40 pips, or over 3 × 30 + 10 pips, of 0.8 GBP
    assert sizes == {
        close_ns: Decimal(312_500),
        close_ns + 12 * HOUR: Decimal(125_000),
        0: Decimal(125_000),
    }


def test_the_daily_pause_is_no_weekend(calendar: Calendar) -> None:
    assert not held_over_close(calendar, "EUR_USD", NOON, NOON + 48 * HOUR)
    assert held_over_close(calendar, "EUR_USD", NOON, NOON + 96 * HOUR)


@pytest.mark.parametrize(
    ("time", "day"),
    [
        ("2017-03-15T20:59:59.999999999Z", "2017-03-15"),
        ("2017-03-15T21:00:00Z", "2017-03-16"),
        ("2017-12-15T21:59:59.999999999Z", "2017-12-15"),
        ("2017-12-15T22:00:00Z", "2017-12-16"),
        ("2016-02-29T12:00:00Z", "2016-02-29"),
        ("2016-02-29T22:00:00Z", "2016-03-01"),
        ("2017-03-11T22:00:00Z", "2017-03-12"),
        ("2017-03-12T20:59:59Z", "2017-03-12"),
        ("2017-03-12T21:00:00Z", "2017-03-13"),
    ],
)
def test_the_trading_day_turns_at_five_in_new_york(time: str, day: str) -> None:
    assert trading_day(parse_time(time)) == day


@given(st.datetimes(datetime(2000, 1, 1), datetime(2040, 12, 31), timezones=st.just(UTC)))
def test_the_trading_day_is_the_date_seven_hours_on_by_new_yorks_clock(at: datetime) -> None:
    wall = at.replace(microsecond=0).astimezone(NEW_YORK).replace(tzinfo=None)
    wanted = (wall.date() + timedelta(days=wall.hour >= 17)).isoformat()
    assert trading_day(int(at.timestamp()) * S) == wanted


def test_a_day_is_23_or_25_hours_long_when_the_clock_changes() -> None:
    start = parse_time("2017-03-11T22:00:00Z")
    assert trading_day(start + 23 * HOUR - 1) == trading_day(start)
    assert trading_day(start + 23 * HOUR) != trading_day(start)
    start = parse_time("2017-11-04T21:00:00Z")
    assert trading_day(start + 25 * HOUR - 1) == trading_day(start)
    assert trading_day(start + 25 * HOUR) != trading_day(start)


def test_quotes_are_not_needed_to_know_the_hours(calendar: Calendar) -> None:
    book = make_book()
    book.calendar = calendar
    book.quotes.clear()
    book.observe(quote("EUR_USD", 109_990, 110_000))
    assert verdict(book) is Reason.NO_CONVERSION
