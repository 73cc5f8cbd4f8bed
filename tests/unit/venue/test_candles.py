"""Candles of what was played, against a plain loop over the quotes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepd.domain.time import NS_PER_S, format_time, parse_time
from sepd.market.tape import Tape, open_tape
from sepd.venue.candles import LENGTHS, Alignment, CandleRequest, candles
from sepd.venue.recording import Recording

START = parse_time("2014-03-07T20:00:00Z")


def tape(folder: Path, seconds: list[int]) -> Tape:
    """A tick tape with a quote at each of these seconds after START."""
    file = folder / "EUR_USD.tick.csv"
    levels = [1.1 + n % 50 / 1e5 for n in range(len(seconds))]
    rows = (
        f"{format_time(START + second * NS_PER_S)},{bid:.5f},{bid + 0.0001:.5f}\n"
        for second, bid in zip(seconds, levels, strict=True)
    )
    file.write_text("time,bid,ask\n" + "".join(rows))
    return open_tape(file)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Four days over the weekend in which New York's summer time begins, with gaps."""
    gaps = np.random.default_rng(5).integers(1, 900, 900).cumsum().tolist()
    return Recording([tape(tmp_path_factory.mktemp("candles"), gaps)])


def plain(recording: Recording, played: int, granularity: str) -> list[tuple[int, int, int]]:
    """Start, bid high and volume of UTC-aligned candles, by a loop."""
    length = LENGTHS[granularity] * NS_PER_S
    found: dict[int, list[int]] = {}
    for row in range(played):
        start = int(recording.times[row]) // length * length
        found.setdefault(start, []).append(int(recording.bids[row]))
    return [(start, max(bids), len(bids)) for start, bids in found.items()]


def made(recording: Recording, played: int, request: CandleRequest) -> list[tuple[int, int, int]]:
    """The same of the candles that the venue makes."""
    return [
        (
            parse_time(str(item["time"])),
            round(float(item["bid"]["h"]) * 1e5),
            int(str(item["volume"])),
        )
        for item in candles(recording, 0, played, False, request)
    ]


@settings(max_examples=60)
@given(st.integers(0, 900), st.sampled_from(["S5", "M1", "M5", "M15", "H1"]), st.integers(1, 900))
def test_candles_are_what_a_loop_over_the_quotes_makes(
    recording: Recording, played: int, granularity: str, count: int
) -> None:
    wanted = plain(recording, played, granularity)
    request = CandleRequest(granularity, "B", count=count)
    assert made(recording, played, request) == wanted[-count:]
    if wanted:
        from_ns = wanted[len(wanted) // 2][0]
        request = CandleRequest(granularity, "B", from_ns=from_ns, count=count)
        assert made(recording, played, request) == wanted[len(wanted) // 2 :][:count]


def test_only_candles_with_a_later_quote_are_complete(recording: Recording) -> None:
    found = candles(recording, 0, 700, False, CandleRequest("M5", count=5_000))
    assert [item["complete"] for item in found] == [True] * (len(found) - 1) + [False]
    assert candles(recording, 0, 0, False, CandleRequest("M5")) == []


def test_the_first_candle_is_the_one_that_covers_from_unless_it_is_excluded(
    recording: Recording,
) -> None:
    wanted = plain(recording, 900, "H1")
    inside = wanted[3][0] + 10 * NS_PER_S
    request = CandleRequest("H1", "B", from_ns=inside, count=2)
    assert made(recording, 900, request) == wanted[3:5]
    request = CandleRequest("H1", "B", from_ns=inside, count=2, include_first=False)
    assert made(recording, 900, request) == wanted[4:6]
    request = CandleRequest("H1", "B", from_ns=wanted[3][0], to_ns=wanted[5][0])
    assert made(recording, 900, request) == wanted[3:5]


def test_days_begin_at_five_in_new_york_through_the_change_of_clocks(
    recording: Recording,
) -> None:
    found = candles(recording, 0, 900, False, CandleRequest("D", count=10))
    starts = [str(item["time"])[:16] for item in found]
    assert starts[:2] == ["2014-03-06T22:00", "2014-03-07T22:00"]
    assert starts[-1][11:] == "21:00"
    four = candles(recording, 0, 900, False, CandleRequest("H4", count=60))
    hours = {str(item["time"])[11:13] for item in four if str(item["time"])[:10] == "2014-03-11"}
    assert hours <= {"01", "05", "09", "13", "17", "21"}
    utc = CandleRequest("D", count=10, alignment=Alignment(0, "UTC"))
    assert {str(item["time"])[11:16] for item in candles(recording, 0, 900, False, utc)} == {
        "00:00"
    }


def test_weeks_and_months_have_their_days(recording: Recording) -> None:
    week = candles(recording, 0, 900, False, CandleRequest("W"))
    assert [str(item["time"])[:16] for item in week] == ["2014-02-28T22:00", "2014-03-07T22:00"]
    month = candles(recording, 0, 900, False, CandleRequest("M"))
    assert [str(item["time"])[:16] for item in month] == ["2014-03-01T22:00"]


def test_smooth_candles_open_where_the_last_one_closed(recording: Recording) -> None:
    rough = candles(recording, 0, 900, False, CandleRequest("M15", "MBA", count=20))
    smooth = candles(recording, 0, 900, False, CandleRequest("M15", "MBA", count=20, smooth=True))
    for before, after in pairwise(smooth):
        assert after["mid"]["o"] == before["mid"]["c"]
    assert [item["bid"]["c"] for item in rough] == [item["bid"]["c"] for item in smooth]


def test_recorded_minutes_equal_minutes_made_of_ticks(sepd_data: Path) -> None:
    """Bars that OANDA recorded, wherever tick and bar file both have the minute."""
    folder = sepd_data / "oanda"
    ticks = Recording([open_tape(folder / "EUR_USD.tick.csv.gz")])
    bars = Recording([open_tape(folder / "EUR_USD.M1.csv.gz")])
    request = CandleRequest("M1", "BA", count=5_000)
    found = {item["time"]: item for item in candles(ticks, 0, len(ticks), True, request)}
    recorded = {item["time"]: item for item in candles(bars, 0, len(bars), True, request)}
    both = found.keys() & recorded.keys()
    assert len(both) > 4_900
    different = [
        time
        for time in both
        if any(found[time][side] != recorded[time][side] for side in ("bid", "ask"))
    ]
    assert different == []


def test_bars_give_back_the_candles_that_were_recorded(sepd_data: Path) -> None:
    tape = open_tape(sepd_data / "oanda" / "NZD_USD.M1.csv.gz")
    recording = Recording([tape])
    request = CandleRequest("M1", "BA", count=5_000)
    found = candles(recording, 0, len(recording), True, request)
    recorded = list(tape.candles())[-5_000:]
    assert [parse_time(str(item["time"])) for item in found] == [item.time_ns for item in recorded]
    assert [
        [round(float(item[side][key]) * 1e5) for side in ("bid", "ask") for key in "ohlc"]
        for item in found
    ] == [
        [
            *(item.bid_open, item.bid_high, item.bid_low, item.bid_close),
            *(item.ask_open, item.ask_high, item.ask_low, item.ask_close),
        ]
        for item in recorded
    ]
    assert all(item["complete"] for item in found)
