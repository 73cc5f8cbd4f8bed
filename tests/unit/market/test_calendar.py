from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.time import parse_time
from sepd.errors import ConfigError
from sepd.market.calendar import Hole, Stretch, load_calendar
from sepd.market.new_york import next_roll_ns, trading_day
from sepd.market.tape import open_tape

S = 1_000_000_000
DAY_S = 86_400
CALENDAR = load_calendar()


# The independent formula: days counted by arithmetic, weekdays by remainder, DST by its rule.


def days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a Gregorian date."""
    years = year - (month <= 2)
    shifted = (month + 9) % 12
    leap_days = years // 4 - years // 100 + years // 400
    return 365 * years + leap_days + (153 * shifted + 2) // 5 + day - 1 - 719_468


def weekday(day: int) -> int:
    """Sunday is 0; 1970-01-01 was a Thursday."""
    return (day + 4) % 7


def nth_sunday(year: int, month: int, n: int) -> int:
    first = days(year, month, 1)
    return first + (-weekday(first)) % 7 + 7 * (n - 1)


def last_sunday(year: int, month: int) -> int:
    last = days(year, month + 1, 1) - 1
    return last - weekday(last)


def summer(year: int) -> tuple[int, int]:
    """First day and day after the last of daylight saving time in New York."""
    if year >= 2007:
        return nth_sunday(year, 3, 2), nth_sunday(year, 11, 1)
    return nth_sunday(year, 4, 1), last_sunday(year, 10)


def new_york_ns(day: int, year: int, minutes: int) -> int:
    """UTC of an afternoon or evening in New York."""
    start, end = summer(year)
    offset = 4 if start <= day < end else 5
    return (day * DAY_S + minutes * 60 + offset * 3600) * S


def year_of(day: int) -> int:
    year = 1970 + day // 366
    while days(year + 1, 1, 1) <= day:
        year += 1
    return year


def boundaries(day: int) -> tuple[int, int]:
    """Opening and close of the FX session of the trading day `day` (Monday to Friday)."""
    year = year_of(day)
    new = day >= days(2022, 1, 1)
    opening, close = (17 * 60 + 3, 16 * 60 + 58) if new else (17 * 60, 17 * 60)
    first_of_year = day == days(year, 1, 1)
    after_christmas = day == days(year, 12, 26) and year >= 2024
    after_new_year = day == days(year, 1, 2) and year >= 2025
    if after_christmas or after_new_year:
        opening = 17 * 60 + 5
    eve_year = year - 1 if first_of_year else year
    return new_york_ns(day - 1, eve_year, opening), new_york_ns(day, year, close)


def is_holiday(day: int) -> bool:
    year = year_of(day)
    return year >= 2015 and day in {days(year, 12, 25), days(year, 1, 1)}


def is_special(day: int) -> bool:
    """Days with a single closure, which the calendar lists and the formula does not know."""
    year = year_of(day)
    return year < 2015 and not days(year, 1, 4) < day < days(year, 12, 24)


@pytest.mark.parametrize("year", range(2000, 2041))
def test_every_session_of_a_year_is_where_the_formula_puts_it(year: int) -> None:
    for day in range(days(year, 1, 1), days(year + 1, 1, 1)):
        if weekday(day) in {0, 6} or is_special(day):
            continue
        opening, close = boundaries(day)
        if is_holiday(day):
            assert not CALENDAR.is_open("EUR_USD", close - S)
            assert not CALENDAR.is_open("EUR_USD", (opening + close) // 2)
            continue
        assert CALENDAR.is_open("EUR_USD", opening)
        assert CALENDAR.is_open("EUR_USD", close - 1)
        assert CALENDAR.is_open("EUR_USD", (opening + close) // 2)
        if weekday(day) == 1 or year >= 2022:
            assert not CALENDAR.is_open("EUR_USD", opening - 1)
            assert CALENDAR.next_open("EUR_USD", opening - 1) == opening
        if weekday(day) == 5 or year >= 2022:
            assert not CALENDAR.is_open("EUR_USD", close)
            assert CALENDAR.next_close("EUR_USD", opening) == close


@given(st.integers(days(2000, 1, 3), days(2040, 12, 31)), st.integers(0, DAY_S - 1))
def test_open_is_what_the_formula_says_at_any_instant(day: int, second: int) -> None:
    time_ns = (day * DAY_S + second) * S
    near = [one for one in range(day - 1, day + 3) if 1 <= weekday(one) <= 5]
    if any(is_special(one) for one in near):
        return
    expected = any(
        opening <= time_ns < close
        for opening, close in (boundaries(one) for one in near if not is_holiday(one))
    )
    assert CALENDAR.is_open("EUR_USD", time_ns) is expected


@given(st.integers(days(2000, 1, 3) * DAY_S, days(2040, 12, 20) * DAY_S))
def test_next_open_and_next_close_bound_the_session(second: int) -> None:
    time_ns = second * S
    opening, close = (
        step("NZD_USD", time_ns) for step in (CALENDAR.next_open, CALENDAR.next_close)
    )
    assert time_ns in {opening, close}
    assert opening != close
    assert CALENDAR.is_open("NZD_USD", opening)
    assert not CALENDAR.is_open("NZD_USD", close)
    sessions = CALENDAR.sessions("NZD_USD", time_ns, max(opening, close) + S)
    assert opening in [one.open_ns for one in sessions] or opening == time_ns


@given(st.lists(st.integers(days(2016, 12, 27) * DAY_S, days(2017, 1, 6) * DAY_S), max_size=20))
def test_what_was_asked_before_changes_no_answer(seconds: list[int]) -> None:
    for second in seconds:
        for name in ("EUR_USD", "NZD_USD"):
            around = CALENDAR.sessions(name, second * S, second * S + 1)
            assert CALENDAR.session(name, second * S) == (around[0] if around else None)


@pytest.mark.parametrize(
    ("first", "second", "gap_hours"),
    [
        ("2014-03-07T22:00:00Z", "2014-03-09T21:00:00Z", 47),
        ("2014-10-31T21:00:00Z", "2014-11-02T22:00:00Z", 49),
        ("2004-02-27T22:00:00Z", "2004-02-29T22:00:00Z", 48),
        ("2006-04-01T00:00:00Z", "2006-04-02T21:00:00Z", None),
    ],
)
def test_weekends_follow_new_york_through_dst_and_leap_days(
    first: str, second: str, gap_hours: int | None
) -> None:
    start, end = parse_time(first), parse_time(second)
    assert not CALENDAR.is_open("EUR_USD", start)
    assert CALENDAR.next_open("EUR_USD", start) == end
    if gap_hours is not None:
        assert CALENDAR.is_open("EUR_USD", start - 1)
        assert end - start == gap_hours * 3600 * S


def test_single_closures_are_followed() -> None:
    closed = parse_time("2013-12-24T19:00:00Z")
    assert CALENDAR.is_open("EUR_USD", closed - 1)
    assert CALENDAR.next_open("EUR_USD", closed) == parse_time("2013-12-25T22:00:00Z")


def test_instruments_have_their_own_hours() -> None:
    monday = parse_time("2026-03-09T22:30:00Z")
    assert not CALENDAR.is_open("XAU_USD", parse_time("2026-03-09T21:30:00Z"))
    assert CALENDAR.is_open("XAU_USD", monday)
    pause = parse_time("2026-03-10T18:00:00Z")
    assert not CALENDAR.is_open("NZD_USD", pause)
    assert CALENDAR.is_open("EUR_USD", pause)


def test_the_pause_of_new_zealand_follows_its_own_dst() -> None:
    assert not CALENDAR.is_open("NZD_USD", parse_time("2026-01-14T18:00:00Z"))
    assert not CALENDAR.is_open("NZD_USD", parse_time("2026-07-15T19:00:00Z"))
    assert CALENDAR.is_open("NZD_USD", parse_time("2026-07-15T18:00:00Z"))


def test_a_hole_is_closed_quiet_or_missing() -> None:
    start, end = parse_time("2014-05-02T20:50:00Z"), parse_time("2014-05-04T21:10:00Z")
    friday, sunday = parse_time("2014-05-02T21:00:00Z"), parse_time("2014-05-04T21:00:00Z")
    asked = (sunday, sunday + 300 * S)
    assert CALENDAR.classify("EUR_USD", start, end, answered=[asked]) == [
        Hole(Stretch.MISSING, start, friday),
        Hole(Stretch.CLOSED, friday, sunday),
        Hole(Stretch.QUIET, *asked),
        Hole(Stretch.MISSING, sunday + 300 * S, end),
    ]
    assert CALENDAR.classify("EUR_USD", friday - 60 * S, friday, quiet_ns=60 * S) == [
        Hole(Stretch.QUIET, friday - 60 * S, friday)
    ]


@given(st.integers(0, 4_000_000_000), st.integers(0, 4_000_000))
def test_the_parts_of_a_hole_cover_it_exactly(start_s: int, length_s: int) -> None:
    start, end = start_s * S, (start_s + length_s) * S
    parts = CALENDAR.classify("NZD_USD", start, end)
    edges = [start, *(part.to_ns for part in parts)]
    assert [part.from_ns for part in parts] == edges[:-1]
    assert edges[-1] == end
    for part in parts:
        inside = (part.from_ns + part.to_ns) // 2
        assert CALENDAR.is_open("NZD_USD", inside) is (part.kind is not Stretch.CLOSED)


def test_the_fx_day_ends_at_five_in_new_york() -> None:
    winter, summer_roll = parse_time("2014-01-08T22:00:00Z"), parse_time("2014-07-08T21:00:00Z")
    for roll in (winter, summer_roll):
        assert next_roll_ns(roll - 1) == roll
        assert next_roll_ns(roll) > roll
    assert str(trading_day(winter - 1)) == "2014-01-08"
    assert str(trading_day(winter)) == "2014-01-09"


@pytest.mark.parametrize("name", ["EUR_USD", "NZD_USD"])
def test_no_recorded_price_falls_into_closed_hours(sepd_data: Path, name: str) -> None:
    for file in ("tick", "M1", "H1"):
        tape = open_tape(sepd_data / f"oanda/{name}.{file}.csv.gz")
        closed = [q.time_ns for q in tape.quotes() if not CALENDAR.is_open(name, q.time_ns)]
        assert closed == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[session]]\n", "missing required field"),
        ("nonsense", "calendar.toml"),
        ('[[session]]\ninstruments=["*"]\nfrom=2000-01-01\nopen=1\nclose=17:00:00\n', "session"),
        (
            (
                '[[session]]\ninstruments=["*"]\nfrom=2000-01-01\nopen=17:00:00\nclose=17:00:00\n'
                'source="x"\ncolour=1\n'
            ),
            "colour",
        ),
        (
            (
                'session=[]\n[[pause]]\ninstruments=["*"]\nfrom=2000-01-01\nzone="Mars/Base"\n'
                'start=01:00:00\nend=02:00:00\nsource="x"\n'
            ),
            "Mars/Base",
        ),
    ],
)
def test_a_wrong_calendar_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "calendar.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_calendar(path)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_calendar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_calendar(tmp_path / "absent.toml")
