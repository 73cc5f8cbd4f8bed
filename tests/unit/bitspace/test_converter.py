"""Market events to bit planes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sepd.bitspace import PLANES, BitPlanes, MarketDataConverter

SECOND = 1_000_000_000

# (time step in seconds, bid, spread, high − low, volume)
event = st.tuples(
    st.integers(0, 40),
    st.integers(99, 103),
    st.integers(1, 5),
    st.integers(0, 9),
    st.integers(0, 9),
)
tapes = st.lists(event, max_size=150)


def columns(tape: list[tuple[int, int, int, int, int]]) -> list[NDArray[np.int64]]:
    table = np.array(tape, np.int64).reshape(-1, 5)
    time_ns = np.cumsum(table[:, 0]) * SECOND
    return [time_ns, table[:, 1], table[:, 1] + table[:, 2], table[:, 3], table[:, 4]]


def every_plane() -> MarketDataConverter:
    return MarketDataConverter(
        tuple(PLANES), max_gap_ns=30 * SECOND, reopenings=[500 * SECOND, 501 * SECOND]
    )


def convert(tape: list[tuple[int, int, int, int, int]]) -> BitPlanes:
    return every_plane().convert(*columns(tape))


def test_direction_is_up_down_or_the_bit_before() -> None:
    mid = np.array([10, 10, 11, 11, 9, 9, 12], np.int64)
    found = MarketDataConverter().convert(np.arange(7, dtype=np.int64), mid, mid)
    assert found.direction.tolist() == [0, 0, 1, 1, 0, 0, 1]


def test_direction_follows_bid_plus_ask() -> None:
    times = np.arange(3, dtype=np.int64)
    bid, ask = np.array([10, 9, 9]), np.array([12, 14, 13])
    found = MarketDataConverter().convert(times, bid, ask)
    assert found.direction.tolist() == [0, 1, 0]


def test_the_first_bit_of_a_segment_is_0_whatever_came_before() -> None:
    times = np.array([0, 1, 100, 101], np.int64) * SECOND
    mid = np.array([1, 2, 9, 9], np.int64)
    found = MarketDataConverter(max_gap_ns=30 * SECOND).convert(times, mid, mid)
    assert found.starts.tolist() == [0, 2]
    assert found.direction.tolist() == [0, 1, 0, 0]


def test_a_gap_as_long_as_the_limit_does_not_end_the_segment() -> None:
    times = np.array([0, 30, 61], np.int64) * SECOND
    found = MarketDataConverter(max_gap_ns=30 * SECOND).convert(times, times, times)
    assert found.starts.tolist() == [0, 2]


def test_a_reopening_begins_a_segment_however_short_the_pause() -> None:
    times = np.array([8, 9, 10, 11], np.int64)
    found = MarketDataConverter(reopenings=[10]).convert(times, times, times)
    assert found.starts.tolist() == [0, 2]


def test_the_spread_plane_is_above_the_lower_median_of_the_newest_64() -> None:
    spreads = np.random.default_rng(2).integers(1, 9, 300)
    zeros = np.zeros(300, np.int64)
    times = np.arange(300, dtype=np.int64)
    found = MarketDataConverter(("spread",)).convert(times, zeros, spreads).bits["spread"]
    for t in range(300):
        recent = sorted(spreads[max(0, t - 63) : t + 1].tolist())
        assert found[t] == (spreads[t] > recent[(len(recent) - 1) // 2])


def test_the_pause_plane_ignores_the_gap_that_began_the_segment() -> None:
    times = np.array([0, 1, 1000, 1001, 1003], np.int64) * SECOND
    converter = MarketDataConverter(("pause",), max_gap_ns=30 * SECOND)
    found = converter.convert(times, times, times)
    assert found.bits["pause"].tolist() == [0, 1, 0, 1, 1]


@given(tape=tapes, future=tapes)
@pytest.mark.parametrize("name", PLANES)
def test_every_plane_is_causal(
    name: str,
    tape: list[tuple[int, int, int, int, int]],
    future: list[tuple[int, int, int, int, int]],
) -> None:
    alone, continued = convert(tape), convert(tape + future)
    np.testing.assert_array_equal(alone.bits[name], continued.bits[name][: len(tape)])


@given(tape=tapes)
def test_live_bits_equal_the_batch(tape: list[tuple[int, int, int, int, int]]) -> None:
    batch = convert(tape)
    live = every_plane().live()
    found = [
        live.push(*values) for values in zip(*(c.tolist() for c in columns(tape)), strict=True)
    ]
    begins = [t for t, bits in enumerate(found) if bits.begins]
    assert begins == (batch.starts.tolist() if tape else [])
    for number, plane in enumerate(batch.bits.values()):
        assert [bits.bits[number] for bits in found] == plane.tolist()


def test_no_events_give_no_bits() -> None:
    assert convert([]).direction.size == 0


def test_each_plane_says_what_it_is() -> None:
    assert len({plane.definition for plane in PLANES.values()}) == len(PLANES)
