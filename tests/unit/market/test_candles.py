from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.errors import InputError
from sepd.market.candles import CandleBuilder
from sepd.market.tape import open_tape

EUR_USD = Instrument("EUR_USD")
S = 1_000_000_000
MINUTE = Granularity.M1.ns
HOUR = Granularity.H1.ns
START = 1_400_000_400 // 3600 * 3600 * S
ALL = (Granularity.M5, Granularity.M15, Granularity.H1)


def builder(complete_from_ns: int | None = START) -> CandleBuilder:
    return CandleBuilder(EUR_USD, Granularity.M1, ALL, complete_from_ns)


def quote(second: float, bid: int = 100, spread: int = 2) -> Quote:
    return Quote("EUR_USD", START + int(second * S), bid, bid + spread)


def minute(number: int, bid: int = 100, *, volume: int = 1) -> Candle:
    prices = (bid,) * 4 + (bid + 2,) * 4
    return Candle("EUR_USD", Granularity.M1, START + number * MINUTE, *prices, volume)


def fed(built: CandleBuilder, quotes: Iterable[Quote]) -> list[Candle]:
    return [candle for one in quotes for candle in built.add(one)]


def lengths(candles: Sequence[Candle]) -> list[str]:
    return [candle.granularity.value for candle in candles]


def starts(candles: Sequence[Candle], length: Granularity) -> list[int]:
    """Minutes after START at which the candles of one length begin."""
    return [(c.time_ns - START) // MINUTE for c in candles if c.granularity is length]


def test_a_candle_is_handed_out_when_a_later_quote_shows_its_end() -> None:
    built = builder()
    assert fed(built, [quote(1, 10), quote(20, 30), quote(30, 5, 9), quote(59.9, 20)]) == []
    assert list(built.add(quote(60, 99))) == [
        Candle("EUR_USD", Granularity.M1, START, 10, 30, 5, 20, 12, 32, 12, 22, 4)
    ]


def test_finer_candles_come_first() -> None:
    built = builder()
    done = fed(built, [quote(60 * n) for n in range(61)])
    assert lengths(done[-4:]) == ["M1", "M5", "M15", "H1"]
    assert [lengths(done).count(name) for name in ("M1", "M5", "M15", "H1")] == [60, 12, 4, 1]
    assert done[-1].volume == 60


def test_broker_time_closes_what_has_passed() -> None:
    built = builder()
    built.add(quote(240))
    assert lengths(built.advance(START + 299 * S)) == []
    assert lengths(built.advance(START + 300 * S)) == ["M1", "M5"]
    assert lengths(built.advance(START + 900 * S)) == ["M15"]


def test_an_empty_period_gives_no_candle() -> None:
    done = fed(builder(), [quote(0), quote(7200)])
    assert [(c.granularity.value, c.time_ns - START) for c in done] == [
        ("M1", 0),
        ("M5", 0),
        ("M15", 0),
        ("H1", 0),
    ]


def test_the_candles_in_which_watching_began_are_never_handed_out() -> None:
    built = builder(complete_from_ns=None)
    done = fed(built, [quote(90), *(quote(60 * n) for n in range(2, 16))])
    assert starts(done, Granularity.M1) == [*range(2, 15)]
    assert starts(done, Granularity.M5) == [5, 10]
    assert "M15" not in lengths(done)


def test_a_quote_on_the_boundary_begins_a_complete_candle() -> None:
    assert lengths(fed(builder(None), [quote(0), quote(60)])) == ["M1"]


def test_candles_that_overlap_a_gap_are_never_handed_out() -> None:
    built = builder()
    done = fed(built, [quote(60 * n) for n in range(6)])
    built.gap(START + 310 * S, START + 370 * S)
    done = fed(built, [quote(60 * n) for n in range(7, 61)])
    assert starts(done, Granularity.M1)[0] == 7
    assert starts(done, Granularity.M5)[0] == 10
    assert starts(done, Granularity.M15) == [15, 30, 45]
    assert "H1" not in lengths(done)


def test_late_and_untradeable_quotes_are_dropped_and_counted() -> None:
    built = builder()
    built.add(quote(10))
    built.add(quote(9, bid=1))
    built.add(Quote("EUR_USD", START + 11 * S, 1, 3, tradeable=False))
    built.advance(START + MINUTE)
    built.add(quote(59, bid=1))
    assert (built.late, built.untradeable) == (2, 1)
    assert lengths(built.add(quote(120))) == []


def test_quotes_of_one_instant_are_all_taken() -> None:
    built = builder()
    fed(built, [quote(1, 10), quote(1, 20)])
    assert built.advance(START + MINUTE)[0].volume == 2


def test_preloaded_history_gives_the_coarser_candles_it_completes() -> None:
    built = builder(complete_from_ns=None)
    done = built.preload([minute(n) for n in range(10)])
    assert lengths(done) == ["M5", "M5"]
    assert lengths(fed(built, [quote(60 * n) for n in range(10, 16)])) == ["M1"] * 5 + ["M5", "M15"]


def test_preload_of_the_running_period_makes_it_complete() -> None:
    built = builder(complete_from_ns=None)
    built.preload([minute(n) for n in range(2)])
    fed(built, [quote(130), quote(180)])
    assert lengths(built.preload([minute(2)])) == []
    assert lengths(fed(built, [quote(60 * n) for n in range(4, 6)])) == ["M1", "M1", "M5"]


def test_a_repair_after_the_end_hands_out_what_it_completes_once() -> None:
    built = builder()
    fed(built, [quote(60 * n) for n in range(3)])
    built.gap(START + 150 * S, START + 200 * S)
    assert lengths(fed(built, [quote(60 * n) for n in range(4, 8)])) == ["M1"] * 3
    repaired = built.preload([minute(2), minute(3)])
    assert lengths(repaired) == ["M5"]
    assert repaired[0].volume == 5
    later = fed(built, [quote(60 * n) for n in range(8, 16)])
    assert starts(later, Granularity.M5) == [5, 10]
    assert starts(later, Granularity.M15) == [0]


def test_a_preloaded_candle_wins_over_the_quotes_of_its_minute() -> None:
    built = builder()
    built.add(quote(10, bid=7))
    built.preload([minute(0, bid=50)])
    assert list(built.add(quote(30))) == []
    assert built.late == 1
    done = fed(built, [quote(300)])
    assert [(c.granularity.value, c.bid_open) for c in done] == [("M5", 50)]


def test_a_candle_open_before_a_fetched_one_may_lack_quotes_and_is_not_handed_out() -> None:
    built = builder()
    fed(built, [quote(60 * n) for n in range(4)])
    assert starts(built.take(minute(4)), Granularity.M1) == [4]
    late = built.take(minute(3))
    assert starts(late, Granularity.M1) == [3]
    assert starts(late, Granularity.M5) == [0]


def test_a_repaired_candle_comes_in_its_place_and_once() -> None:
    built = builder()
    fed(built, [quote(60 * n) for n in range(4)])
    done = [*built.take(minute(3)), *built.take(minute(4))]
    assert [(c.granularity.value, (c.time_ns - START) // MINUTE) for c in done] == [
        ("M1", 3),
        ("M1", 4),
        ("M5", 0),
    ]
    assert built.take(minute(4)) == ()
    assert built.take(minute(2)) == ()
    assert lengths(fed(built, [quote(300), quote(360)])) == ["M1"]


def test_a_stretch_without_candles_can_be_declared_watched() -> None:
    built = builder(complete_from_ns=None)
    built.preload([minute(3)], from_ns=START, to_ns=START + 4 * MINUTE)
    assert lengths(fed(built, [quote(240), quote(300)])) == ["M1", "M5"]


def test_a_correction_rebuilds_what_was_handed_out() -> None:
    built = builder()
    fed(built, [quote(60 * n) for n in range(7)])
    revised = built.correct(minute(2, bid=900))
    assert [(c.granularity.value, c.bid_high) for c in revised] == [("M5", 900)]
    assert built.correct(minute(2, bid=900)) == []
    later = fed(built, [quote(60 * n) for n in range(7, 16)])
    assert [c.bid_high for c in later if c.granularity is Granularity.M15] == [900]


@pytest.mark.parametrize(
    "wrong",
    [
        Candle("GBP_USD", Granularity.M1, START, *range(1, 9)),
        Candle("EUR_USD", Granularity.M5, START, *range(1, 9)),
        Candle("EUR_USD", Granularity.M1, START + 1, *range(1, 9)),
    ],
)
def test_a_candle_that_does_not_belong_is_refused(wrong: Candle) -> None:
    with pytest.raises(ValueError, match=r"given to|out of order"):
        builder().preload([wrong])


def test_a_granularity_that_is_no_multiple_is_refused() -> None:
    with pytest.raises(InputError, match="M1 candles cannot be built from M5"):
        CandleBuilder(EUR_USD, Granularity.M5, [Granularity.M1])


steps = st.lists(
    st.tuples(st.integers(0, 400 * S), st.integers(1, 10_000), st.integers(0, 50)),
    min_size=1,
    max_size=120,
)


@given(steps)
def test_candles_equal_their_definition(moves: list[tuple[int, int, int]]) -> None:
    time_ns, quotes = START, []
    for step, bid, spread in moves:
        time_ns += step
        quotes.append(Quote("EUR_USD", time_ns, bid, bid + spread))
    built = builder()
    done = fed(built, quotes)
    done += built.advance(time_ns + 2 * HOUR)
    assert sorted(done, key=_place) == sorted(_defined(quotes), key=_place)


def _place(candle: Candle) -> tuple[int, int]:
    return candle.granularity.ns, candle.time_ns


def _defined(quotes: Sequence[Quote]) -> list[Candle]:
    out = []
    for length in (Granularity.M1, *ALL):
        for start in sorted({length.floor(q.time_ns) for q in quotes}):
            part = [q for q in quotes if start <= q.time_ns < start + length.ns]
            bids, asks = [q.bid for q in part], [q.ask for q in part]
            sides = [(x[0], max(x), min(x), x[-1]) for x in (bids, asks)]
            out.append(Candle("EUR_USD", length, start, *sides[0], *sides[1], len(part)))
    return out


@given(steps, st.integers(0, 119))
def test_no_candle_depends_on_what_comes_after_it(
    moves: list[tuple[int, int, int]], cut: int
) -> None:
    time_ns, quotes = START, []
    for step, bid, spread in moves:
        time_ns += step
        quotes.append(Quote("EUR_USD", time_ns, bid, bid + spread))
    whole = fed(builder(), quotes)
    part = fed(builder(), quotes[: cut + 1])
    assert whole[: len(part)] == part
    assert all(candle.end_ns <= quotes[: cut + 1][-1].time_ns for candle in part)


@pytest.mark.parametrize("name", ["EUR_USD", "NZD_USD"])
def test_minutes_built_from_recorded_ticks_equal_the_recorded_minutes(
    sepd_data: Path, name: str
) -> None:
    ticks = open_tape(sepd_data / f"oanda/{name}.tick.csv.gz")
    built = CandleBuilder(
        ticks.instrument, Granularity.M1, ALL, Granularity.M1.floor(ticks.start_ns)
    )
    done = [*fed(built, ticks.quotes()), *built.advance(ticks.end_ns + HOUR)]
    mine = {c.time_ns: _prices(c) for c in done if c.granularity is Granularity.M1}
    recorded = open_tape(sepd_data / f"oanda/{name}.M1.csv.gz")
    assert mine == {c.time_ns: _prices(c) for c in recorded.candles()}


def _prices(candle: Candle) -> tuple[int, ...]:
    return (
        candle.bid_open,
        candle.bid_high,
        candle.bid_low,
        candle.bid_close,
        candle.ask_open,
        candle.ask_high,
        candle.ask_low,
        candle.ask_close,
    )
