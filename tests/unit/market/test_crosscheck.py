from __future__ import annotations

import pytest
from msgspec.structs import replace

from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.market.candles import CandleBuilder
from sepd.market.crosscheck import Agreement, CrossCheck, corrected, differing_prices
from sepd.market.tape import open_tape, sample_path

S = 1_000_000_000
MINUTE = Granularity.M1.ns
START = 1_400_000_400 // 3600 * 3600 * S
EUR_USD = Instrument("EUR_USD")


def fed(minutes: int) -> tuple[CandleBuilder, list[Candle]]:
    builder = CandleBuilder(EUR_USD, Granularity.M1, [Granularity.M5], START)
    done: list[Candle] = []
    for second in range(0, minutes * 60 + 1, 20):
        done += builder.add(Quote("EUR_USD", START + second * S, 100 + second, 102 + second))
    return builder, done


def test_an_equal_candle_changes_nothing_whatever_its_volume() -> None:
    builder, done = fed(3)
    check = CrossCheck(builder)
    assert check.compare(replace(done[1], volume=99)).agreement is Agreement.SAME
    assert builder.base_candle(done[1].time_ns) == done[1]


def test_a_different_candle_of_the_broker_wins_and_is_counted() -> None:
    builder, done = fed(6)
    theirs = replace(done[1], bid_high=900, ask_high=903)
    check = CrossCheck(builder)
    result = check.compare(theirs)
    assert (result.agreement, result.differing) == (Agreement.DIFFERENT, ("bid_high", "ask_high"))
    assert [(c.granularity.value, c.bid_high) for c in result.revised] == [("M5", 900)]
    assert check.compare(theirs).agreement is Agreement.SAME
    assert check.counts == {Agreement.DIFFERENT: 1, Agreement.SAME: 1}


def test_a_candle_that_we_lack_is_taken_and_completes_what_it_can() -> None:
    builder = CandleBuilder(EUR_USD, Granularity.M1, [Granularity.M5], START)
    quotes = [Quote("EUR_USD", START + n * MINUTE, 100, 102) for n in range(6)]
    builder.gap(START + MINUTE, START + MINUTE + S)
    for quote in quotes:
        builder.add(quote)
    theirs = Candle("EUR_USD", Granularity.M1, START + MINUTE, 90, 90, 90, 90, 91, 91, 91, 91, 3)
    result = CrossCheck(builder).compare(theirs)
    assert result.agreement is Agreement.ABSENT
    assert [(c.granularity.value, c.bid_low) for c in result.revised] == [("M5", 90)]


def test_corrections_lead_to_the_same_candles_as_the_brokers_alone() -> None:
    """Whatever ours were, after every check the coarser candles are those of the broker."""
    broker = list(open_tape(sample_path()).candles())[:200]
    ours = CandleBuilder(EUR_USD, Granularity.H1, [Granularity.H4], broker[0].time_ns)
    theirs = CandleBuilder(EUR_USD, Granularity.H1, [Granularity.H4], broker[0].time_ns)
    check, latest = CrossCheck(ours), {}
    for candle in broker:
        quote = Quote("EUR_USD", candle.time_ns + 7, candle.bid_open, candle.ask_open)
        done = [*ours.add(quote), *ours.advance(candle.end_ns)]
        for one in (*done, *check.compare(candle).revised):
            if one.granularity is Granularity.H4:
                latest[one.time_ns] = one
    expected = theirs.preload(broker)
    assert {time: replace(one, volume=0) for time, one in latest.items()} == {
        one.time_ns: replace(one, volume=0) for one in expected
    }
    assert check.counts[Agreement.DIFFERENT] > 150


def test_a_series_takes_the_brokers_candle_in_its_place() -> None:
    _, done = fed(4)
    series = done[:3]
    theirs = replace(series[1], bid_low=1)
    assert corrected(series, theirs) == (series[0], theirs, series[2])
    assert corrected([series[0], series[2]], series[1]) == tuple(series)
    assert corrected(series[:2], series[2]) == tuple(series)
    assert differing_prices(series[1], theirs) == ("bid_low",)


def test_a_candle_of_another_length_is_refused() -> None:
    builder, done = fed(3)
    with pytest.raises(ValueError, match="given to"):
        CrossCheck(builder).compare(replace(done[1], granularity=Granularity.M5, time_ns=START - 1))
