"""The live reading of a candle series equals the batch over the same bits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sepd import bitspace
from sepd.domain.market import Candle, Granularity
from sepd.settings import BitspaceSettings
from sepd.signals.series import Series

M5 = Granularity.M5
SETTINGS = BitspaceSettings(window=8, order=2, iterations=4)


def candle(period: int, close: int) -> Candle:
    prices = (close,) * 4
    return Candle("EUR_USD", M5, period * M5.ns, *prices, *prices)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(-2, 2)), max_size=120))
def test_rows_equal_the_batch_with_segments_at_long_holes(steps: list[tuple[int, int]]) -> None:
    series = Series(M5, SETTINGS, max_gap_candles=3)
    period, close, bit = 0, 100_000, 0
    bits: list[int] = []
    starts = [0]
    rows = []
    for count, (skip, move) in enumerate(steps):
        period += skip
        close += move
        if count and skip - 1 > 3:
            starts.append(count)
            bit = 0
        elif count and move:
            bit = int(move > 0)
        bits.append(bit)
        rows.append(series.push(candle(period, close)))
    batch = bitspace.analyze(
        np.array(bits, np.uint8),
        window=8,
        order=2,
        iterations=4,
        segment_starts=starts,
        backend="numpy",
    )
    assert [row.damped_polarity for row in rows] == batch.damped.polarity.tolist()
    assert [row.entropy for row in rows] == batch.entropy.tolist()
    assert [row.steps for row in rows] == batch.steps.tolist()


def test_a_reading_is_there_only_while_its_row_is_valid() -> None:
    series = Series(M5, SETTINGS, max_gap_candles=3)
    for period in range(11):
        series.push(candle(period, 100_000 + period))
        assert series.reading is None
    series.push(candle(11, 100_011))
    assert series.reading is not None
    assert series.reading.end_ns == 12 * M5.ns
    series.push(candle(20, 100_011))
    assert series.reading is None
