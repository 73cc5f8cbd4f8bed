"""Invariances of the definition, on any bits."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sepd.bitspace import Analysis, Stream, analyze

bit_lists = st.lists(st.integers(0, 1), max_size=220)
windows = st.integers(3, 64)
orders = st.integers(1, 8)


def array(bits: list[int]) -> NDArray[np.uint8]:
    return np.array(bits, np.uint8)


def run(bits: NDArray[np.uint8], window: int, **options: Any) -> Analysis:
    return analyze(bits, window=window, backend="numpy", **options)


@given(bits=bit_lists, window=windows)
def test_inverting_all_bits_keeps_entropy_and_coherence_and_negates_polarity(
    bits: list[int], window: int
) -> None:
    upright = run(array(bits), window)
    inverted = run(1 - array(bits), window)
    valid = slice(window - 1, None)
    np.testing.assert_array_equal(upright.entropy, inverted.entropy)
    np.testing.assert_array_equal(upright.coherence, inverted.coherence)
    np.testing.assert_array_equal(upright.polarity[valid], -inverted.polarity[valid])


@given(bits=st.lists(st.integers(0, 1), min_size=3, max_size=64))
def test_reversing_time_keeps_entropy_and_coherence_where_the_halves_are_equal(
    bits: list[int],
) -> None:
    forward = run(array(bits), len(bits), iterations=0)
    backward = run(array(bits[::-1]), len(bits), iterations=0)
    assert forward.entropy[-1] == backward.entropy[-1]
    if (len(bits) - 1) % 2 == 0:
        assert forward.coherence[-1] == backward.coherence[-1]


@given(bits=bit_lists, suffix=bit_lists, window=windows, order=orders)
def test_a_suffix_never_changes_an_earlier_row(
    bits: list[int], suffix: list[int], window: int, order: int
) -> None:
    order = min(order, window - 1)
    short = run(array(bits), window, order=order).columns()
    long = run(array(bits + suffix), window, order=order).rows(0, len(bits)).columns()
    for name, column in short.items():
        np.testing.assert_array_equal(column, long[name], err_msg=name)


@given(segments=st.lists(bit_lists, min_size=1, max_size=5), window=windows)
def test_segments_are_independent(segments: list[list[int]], window: int) -> None:
    together = run([array(part) for part in segments], window)  # type: ignore[arg-type]
    for part, rows in zip(segments, together.segments(), strict=True):
        alone = run(array(part), window).columns()
        for name, column in rows.columns().items():
            np.testing.assert_array_equal(column, alone[name], err_msg=name)


@given(bits=bit_lists, window=windows)
def test_counts_add_up_to_the_transitions_where_valid(bits: list[int], window: int) -> None:
    found = run(array(bits), window)
    total = found.null.astype(int) + found.flip + found.rupture
    assert set(total[: window - 1]) <= {0}
    assert set(total[window - 1 :]) <= {window - 1}


@given(bits=bit_lists, window=windows, iterations=st.integers(1, 20))
def test_the_path_begins_at_the_metrics_and_ends_at_the_damped_ones(
    bits: list[int], window: int, iterations: int
) -> None:
    found = run(array(bits), window, iterations=iterations, path=True)
    path = found.damped.path
    assert path is not None
    assert path.shape == (iterations + 1, 4, len(bits))
    valid = found.damped.coherence != -32768
    np.testing.assert_array_equal(path[0][:, valid], found.metrics[:, valid])
    np.testing.assert_array_equal(path[-1], found.damped.metrics)
    for t in np.flatnonzero(valid & found.converged):
        held = path[found.steps[t] :, :, t]
        assert np.all(held == held[0])


@given(bits=bit_lists, window=st.integers(3, 16), iterations=st.integers(0, 8))
def test_looking_ahead_gives_the_next_row_and_changes_nothing(
    bits: list[int], window: int, iterations: int
) -> None:
    looking = Stream(window, 2, iterations=iterations)
    plain = Stream(window, 2, iterations=iterations)
    for bit in bits:
        ahead = looking.ahead()
        row = plain.push(bit)
        assert ahead[bit] == row
        assert looking.push(bit) == row
