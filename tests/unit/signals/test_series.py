"""The live reading of a candle series equals the batch over the same bits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sepd.bitspace import Stream, analyze, parameters
from sepd.bitspace.analyser import Analyser
from sepd.domain.market import Candle, Granularity
from sepd.settings import BitspaceSettings
from sepd.signals.series import Series, depth_of, read_series

M5 = Granularity.M5
SETTINGS = BitspaceSettings(window=8, order=2, iterations=4)


def candle(period: int, close: int) -> Candle:
    prices = (close,) * 4
    return Candle("EUR_USD", M5, period * M5.ns, *prices, *prices)


def streamed() -> Series:
    return Series(M5, 3, depth_of(SETTINGS), Stream(8, 2, iterations=4))


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(-2, 2)), max_size=120),
    st.lists(st.booleans(), min_size=120, max_size=120),
)
def test_readings_one_by_one_and_by_batch_equal_the_whole_history(
    steps: list[tuple[int, int]], idle: list[bool]
) -> None:
    one_by_one = streamed()
    by_batch = Series(M5, 3, depth_of(SETTINGS), None)
    at_the_end = streamed()
    analyser = Analyser(parameters(8, 2, iterations=4), "numpy")
    period, close, bit = 0, 100_000, 0
    bits: list[int] = []
    starts = [0]
    found = []
    for count, (skip, move) in enumerate(steps):
        period += skip
        close += move
        if count and skip - 1 > 3:
            starts.append(count)
            bit = 0
        elif count and move:
            bit = int(move > 0)
        bits.append(bit)
        one_by_one.push(candle(period, close))
        by_batch.push(candle(period, close))
        at_the_end.push(candle(period, close))
        read_series([by_batch], analyser)
        assert one_by_one.reading == by_batch.reading
        if idle[count]:
            one_by_one.catch_up()  # looks ahead
            assert one_by_one.reading == by_batch.reading
        found.append(one_by_one.reading.metrics.polarity if one_by_one.reading else None)
    assert at_the_end.reading == one_by_one.reading
    whole = analyze(
        np.array(bits, np.uint8),
        window=8,
        order=2,
        iterations=4,
        segment_starts=starts,
        backend="numpy",
    )
    valid = whole.steps > 0
    assert [p is not None for p in found] == valid.tolist()
    assert [p for p in found if p is not None] == whole.damped.polarity[valid].tolist()


def test_a_reading_is_there_only_while_its_row_is_valid() -> None:
    series = streamed()
    for period in range(11):
        series.push(candle(period, 100_000 + period))
        assert series.reading is None
    series.push(candle(11, 100_011))
    assert series.reading is not None
    assert series.reading.end_ns == 12 * M5.ns
    series.push(candle(20, 100_011))
    assert series.reading is None


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(-2, 2)), min_size=1, max_size=60),
    st.data(),
)
def test_a_corrected_candle_leaves_the_series_as_if_it_had_come_first(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    period, close = 0, 100_000
    candles = []
    for skip, move in steps:
        period += skip
        close += move
        candles.append(candle(period, close))
    place = data.draw(st.integers(max(0, len(candles) - 13), len(candles) - 1))
    right = candle(candles[place].time_ns // M5.ns, data.draw(st.integers(99_990, 100_010)))
    amended, straight = streamed(), streamed()
    for one in candles:
        amended.push(one)
    amended.push(right)
    for one in (*candles[:place], right, *candles[place + 1 :]):
        straight.push(one)
    assert amended.reading == straight.reading
    assert amended.bits().tolist() == straight.bits().tolist()
    assert amended.candles == straight.candles
