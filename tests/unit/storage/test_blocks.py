"""Packed months give back every integer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sepd.errors import InvariantViolated
from sepd.storage.blocks import COLUMNS, Table, decode_block, encode_block

SECONDS = st.integers(0, 4_102_444_800)
NUMBERS = st.one_of(
    st.integers(0, 300), st.integers(100_000, 170_000), st.integers(-(2**62), 2**62 - 1)
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    count = draw(st.integers(1, 40))
    table = draw(arrays(np.int64, (count, COLUMNS), elements=NUMBERS))
    seconds = sorted(draw(st.lists(SECONDS, min_size=count, max_size=count)))
    table[:, 0] = np.array(seconds, np.int64) * 1_000_000_000
    return table


@given(table=tables())
def test_a_block_gives_back_its_table(table: Table) -> None:
    again = np.empty_like(table)
    decode_block(encode_block(table), again)
    assert np.array_equal(again, table)


@given(table=tables(), cut=st.integers(1, 50))
def test_a_damaged_block_is_refused(table: Table, cut: int) -> None:
    body = encode_block(table)
    with pytest.raises(InvariantViolated, match="damaged"):
        decode_block(body[: max(len(body) - cut, 100)], np.empty_like(table))
    with pytest.raises(InvariantViolated, match="damaged"):
        decode_block(body, np.empty((len(table) + 1, COLUMNS), np.int64))


def test_prices_of_a_month_take_two_bytes() -> None:
    rows = np.arange(30_000, dtype=np.int64)
    table = np.repeat(110_000 + rows[:, None] % 5_000, COLUMNS, axis=1)
    table[:, 0] = rows * 60_000_000_000
    assert len(encode_block(table)) < 30_000 * 23
