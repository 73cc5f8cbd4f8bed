"""Every implementation gives the oracle's integers."""

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sepd.bitspace import COLUMNS
from sepd.bitspace.parameters import ITERATIONS_MAX
from tests.unit.bitspace import oracle
from tests.unit.bitspace.conftest import Engine, Rows

ADVERSARIAL: dict[str, Callable[[int], NDArray[Any]]] = {
    "zeros": lambda n: np.zeros(n),
    "ones": lambda n: np.ones(n),
    "alternating": lambda n: np.arange(n) % 2,
    "one flip": lambda n: np.arange(n) >= n // 2,
    "two flips": lambda n: (np.arange(n) >= n // 3) & (np.arange(n) < 2 * n // 3),
    "one bit set": lambda n: np.arange(n) == n // 2,
    "one bit cleared": lambda n: np.arange(n) != n // 2,
    "runs of 7": lambda n: np.arange(n) // 7 % 2,
    "words": lambda n: np.arange(n) // 64 % 2,
}


def random_bits(seed: int, length: int, ones: float = 0.5) -> NDArray[np.uint8]:
    return (np.random.default_rng(seed).random(length) < ones).astype(np.uint8)


def random_expectation(seed: int, order: int) -> list[int]:
    return [int(bit) for bit in random_bits(seed, 1 << order)]


def expected(
    bits: NDArray[np.uint8], starts: Sequence[int], window: int, order: int, **options: Any
) -> Rows:
    found = oracle.rows(bits.tolist(), starts, window, order, **options)
    return np.array(found, np.int32).reshape(-1, len(COLUMNS))


def test_the_published_vectors_come_out_exactly(engine: Engine, sepd_data: Path) -> None:
    with gzip.open(sepd_data / "bitspace_vectors.json.gz") as file:
        cases = json.load(file)["cases"]
    for case in cases:
        bits = np.array(list(case["bits"]), np.uint8)
        found = engine(
            bits, [0], case["window"], case["order"], case["expectation"], case["iterations"]
        )
        assert tuple(case["columns"]) == COLUMNS
        for row, published in zip(found.tolist(), case["rows"], strict=True):
            wanted = [
                blank if value is None else value
                for value, blank in zip(published or [None] * 15, oracle.NOTHING, strict=True)
            ]
            assert row == wanted, case["name"]


@pytest.mark.parametrize("order", range(1, 9))
def test_every_window_and_order_on_random_bits(engine: Engine, order: int) -> None:
    for window in range(max(3, order + 1), 65):
        bits = random_bits(window * 16 + order, window + 48, ones=(0.5, 0.8, 0.1)[window % 3])
        table = random_expectation(window, order)
        found = engine(bits, [0], window, order, table)
        np.testing.assert_array_equal(found, expected(bits, [0], window, order, expectation=table))


@pytest.mark.parametrize("pattern", ADVERSARIAL)
def test_adversarial_bits(engine: Engine, pattern: str) -> None:
    bits = ADVERSARIAL[pattern](200).astype(np.uint8)
    for window, order in ((64, 1), (64, 8), (63, 2), (33, 3), (32, 1), (31, 4), (4, 2), (3, 1)):
        found = engine(bits, [0], window, order)
        np.testing.assert_array_equal(found, expected(bits, [0], window, order))


@pytest.mark.parametrize(("window", "order"), [(64, 1), (33, 2), (3, 1)])
def test_every_length_from_0_to_130(engine: Engine, window: int, order: int) -> None:
    for length in range(131):
        bits = random_bits(length, length)
        found = engine(bits, [0], window, order)
        np.testing.assert_array_equal(found, expected(bits, [0], window, order))


def test_segments_around_word_boundaries(engine: Engine) -> None:
    bits = random_bits(7, 700)
    for edge in (63, 64, 65, 127, 128, 129):
        starts = [0, edge, edge + 130, edge + 258, edge + 259, edge + 400]
        found = engine(bits, starts, 64, 1)
        np.testing.assert_array_equal(found, expected(bits, starts, 64, 1))


def test_a_ragged_batch_with_empty_and_short_segments(engine: Engine) -> None:
    rng = np.random.default_rng(3)
    sizes = rng.integers(0, 150, 40)
    sizes[[0, 5, 6, 39]] = (1, 0, 0, 0)
    starts = [0, *np.cumsum(sizes)[:-1].tolist()]
    bits = random_bits(4, int(sizes.sum()), ones=0.7)
    for window, order in ((64, 1), (20, 3)):
        found = engine(bits, starts, window, order)
        np.testing.assert_array_equal(found, expected(bits, starts, window, order))


@pytest.mark.parametrize("iterations", [0, 1, 2, 15, 17, ITERATIONS_MAX])
def test_iterations_from_none_to_the_most(engine: Engine, iterations: int) -> None:
    bits = random_bits(iterations, 200, ones=0.9)
    found = engine(bits, [0], 16, 2, iterations=iterations)
    np.testing.assert_array_equal(found, expected(bits, [0], 16, 2, iterations=iterations))


@pytest.mark.parametrize("tolerance", [1, 20, 500, 16384])
def test_a_tolerance_ends_the_damping_early(engine: Engine, tolerance: int) -> None:
    bits = random_bits(tolerance, 300, ones=0.8)
    found = engine(bits, [0], 12, 1, tolerance=tolerance)
    np.testing.assert_array_equal(found, expected(bits, [0], 12, 1, tolerance=tolerance))
