from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sepd.errors import InputError
from sepd.market import tape as tape_module
from sepd.market.blocks import parse_block
from sepd.market.layouts import BAR_HEADER, TICK_HEADER, Layout, layout_of
from sepd.market.tape import Tape, tape_in
from tests.fuzz.mutate import mutated
from tests.fuzz.tapes import CASES

FIELD = st.one_of(
    st.from_regex(r"[0-9]{1,3}\.[0-9]{1,6}", fullmatch=True),
    st.from_regex(r"[0-9]{1,13}", fullmatch=True),
    st.text("0123456789.-+eE_ ٣", max_size=8),
)
TIME = st.one_of(
    st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}Z"),
    st.from_regex(
        r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", fullmatch=True
    ),
    st.text("0123456789-:.TZ ", max_size=26),
)


def known(header: str) -> Layout:
    layout = layout_of(header, 5, 10)
    assert layout is not None
    return layout


@pytest.mark.parametrize(
    ("header", "prices"), [(TICK_HEADER, 2), (BAR_HEADER, 8), (f"{BAR_HEADER},volume", 9)]
)
@given(data=st.data())
def test_a_block_reads_what_its_lines_read(header: str, prices: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 3))
    lines = [
        ",".join([data.draw(TIME), *(data.draw(FIELD) for _ in range(prices))])
        for _ in range(count)
    ]
    layout = known(header)
    assert layout.block is not None
    table = layout.block("".join(f"{line}\n" for line in lines))
    if table is not None:
        width = table.shape[1]
        assert table.tolist() == [list(layout.parse(line))[:width] for line in lines]


def test_plain_blocks_are_not_left_to_the_lines() -> None:
    line = "2014-05-01T00:00:00.292Z,1.38676,1.4\n"
    table = parse_block(line * 3, 2, 5)
    assert table is not None
    assert np.array_equal(table, [[1_398_902_400_292_000_000, 138_676, 140_000]] * 3)


@pytest.mark.parametrize(
    "line",
    [
        "2014-02-29T00:00:00Z,1,2",
        "2014-05-01T24:00:00Z,1,2",
        "2014-05-01T00:00:60Z,1,2",
        "2014-00-01T00:00:00Z,1,2",
        "2614-05-01T00:00:00Z,1,2",
        "1969-12-31T23:59:59Z,1,2",
        "2014-05-01 00:00:00Z,1,2",
        "2014-05-01T00:00:00Z,.5,2",
        "2014-05-01T00:00:00Z,1.2.3,2",
        "2014-05-01T00:00:00Z,1.000001,2",
        "2014-05-01T00:00:00Z,1234567890123,2",
        "2014-05-01T00:00:00Z,1",
        "2014-05-01T00:00:00Z,1,2,3",
        "2014-05-01T00:00:00Z,,2",
        "",
    ],
)
def test_anything_else_is_left_to_the_lines(line: str) -> None:
    assert parse_block(f"{line}\n", 2, 5) is None


@pytest.mark.parametrize("lines", [1, 2, 4_096])
@pytest.mark.parametrize("kind", ["ticks", "bars"])
def test_tapes_are_the_same_with_and_without_blocks(
    kind: str, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[kind]
    monkeypatch.setattr("sepd.market.reading._BLOCK_LINES", lines)
    inputs = [mutated(random.Random(n), case.valid.encode()) for n in range(1_500)]
    fast = [outcome(case.name, one) for one in inputs]

    def slowly(header: str, precision: int, spread_points: int) -> Layout | None:
        layout = layout_of(header, precision, spread_points)
        return layout and replace(layout, block=None)

    monkeypatch.setattr(tape_module, "layout_of", slowly)
    assert fast == [outcome(case.name, one) for one in inputs]


def outcome(name: str, content: bytes) -> object:
    try:
        tape: Tape = tape_in(Path(name), io.BytesIO(content), "EUR_USD", 10)
    except InputError as refused:
        return str(refused)
    return [list(column) for column in tape.columns], tape.rejected.listed
