"""Long segments that come block by block."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sepd.bitspace import analyze, analyze_blocks, pack, parameters, unpack
from sepd.bitspace.numpy_backend import NumpyBackend
from sepd.errors import InputError


def blocks_of(words: NDArray[np.uint64], size: int) -> Iterator[NDArray[np.uint64]]:
    for low in range(0, words.size, size):
        yield words[low : low + size]


@given(length=st.integers(0, 1500), size=st.integers(1, 9), window=st.integers(3, 64))
def test_blocks_give_the_rows_of_the_whole(length: int, size: int, window: int) -> None:
    bits = np.random.default_rng(length).integers(0, 2, length, np.uint8)
    whole = analyze(bits, window=window, iterations=20, backend="numpy").columns()
    chosen = parameters(window=window, iterations=20)
    parts = [
        part.columns()
        for part in analyze_blocks(blocks_of(pack(bits), size), length, chosen, NumpyBackend())
    ]
    for name, column in whole.items():
        joined = np.concatenate([part[name] for part in parts]) if parts else column[:0]
        np.testing.assert_array_equal(joined, column, err_msg=name)


def test_blocks_that_end_too_early_are_refused() -> None:
    with pytest.raises(InputError, match="length must be the number of bits in blocks: 200"):
        list(analyze_blocks([pack(np.ones(64, np.uint8))], 200, parameters(), NumpyBackend()))


@given(st.lists(st.integers(0, 1), max_size=200))
def test_pack_puts_bit_t_in_word_t_64_at_position_t_64(bits: list[int]) -> None:
    words = pack(np.array(bits, np.uint8))
    assert [int(words[t // 64]) >> (t % 64) & 1 for t in range(len(bits))] == bits
    assert unpack(words, len(bits)).tolist() == bits
