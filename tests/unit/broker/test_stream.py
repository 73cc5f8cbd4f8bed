"""Lines of the price stream: exact, quick to refuse, whatever the bytes are cut into."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.broker.oanda.stream import LINE_LIMIT, LineCounts, PriceLines, line_blocks
from sepd.domain.market import Heartbeat, Instrument, Quote
from sepd.domain.time import parse_time
from sepd.errors import InputError, TransientError
from sepd.ports import PriceBatch
from tests.support.oanda import NOON, heartbeat, price

PAIRS = {
    "EUR_USD": Instrument("EUR_USD"),
    "USD_JPY": Instrument("USD_JPY", display_precision=3, pip_location=-2),
}


class Lines:
    """A price stream fed with lines."""

    def __init__(self, corrupt_limit: int = 3) -> None:
        self.counts = LineCounts()
        self.lines = PriceLines(PAIRS, self.counts, corrupt_limit)

    def __call__(self, *lines: dict[str, Any] | bytes) -> list[PriceBatch]:
        encoded = [line if isinstance(line, bytes) else msgspec.json.encode(line) for line in lines]
        return list(self.lines.batches(b"".join(line + b"\n" for line in encoded)))

    def items(self, *lines: dict[str, Any] | bytes) -> list[Quote | Heartbeat]:
        return [item for batch in self(*lines) for item in batch.items]


def test_prices_are_exact_points_of_their_instrument() -> None:
    quotes = Lines().items(
        price(NOON, "1.38676", "1.38686"),
        price(NOON, "110.1", "110.123", instrument="USD_JPY"),
    )
    assert quotes == [
        Quote("EUR_USD", NOON, 138_676, 138_686),
        Quote("USD_JPY", NOON, 110_100, 110_123),
    ]


def test_the_best_of_the_book_is_taken() -> None:
    line = price(
        bids=[{"price": "1.0998"}, {"price": "1.0999"}],
        asks=[{"price": "1.1002"}, {"price": "1.1001"}],
    )
    assert Lines().items(line) == [Quote("EUR_USD", NOON, 109_990, 110_010)]


def test_an_empty_book_is_the_close_out_price_and_not_tradeable() -> None:
    assert Lines().items(price(bids=[])) == [Quote("EUR_USD", NOON, 110_000, 110_010, False)]


@pytest.mark.parametrize(
    ("fields", "tradeable"),
    [
        ({"tradeable": False}, False),
        ({"tradeable": None, "status": "tradeable"}, True),
        ({"tradeable": None, "status": "non-tradeable"}, False),
        ({"tradeable": None, "status": ""}, False),
    ],
)
def test_what_is_not_said_to_be_tradeable_is_not(fields: dict[str, Any], tradeable: bool) -> None:
    line = {key: value for key, value in price(**fields).items() if value is not None}
    assert Lines().items(line) == [Quote("EUR_USD", NOON, 110_000, 110_010, tradeable)]


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-1.1", "1e3", "", "1.100001", "1,1", "٣.٣", "0x1", " 1.1", "1_1"]
)
def test_a_price_that_is_none_is_refused_and_counted(text: str) -> None:
    lines = Lines()
    assert lines.items(price(bid=text), price()) == [Quote("EUR_USD", NOON, 110_000, 110_010)]
    assert (lines.counts.refused, lines.counts.corrupt) == (1, 0)


@pytest.mark.parametrize(
    "line",
    [
        price(instrument="XAU_USD"),
        {**price(), "time": "2017-03-15T12:00:60.000000000Z"},
        {**price(), "time": "2017-02-29T12:00:00.000000000Z"},
        {**price(), "time": ""},
        {"type": "PRICE", "time": "2017-03-15T12:00:00Z", "instrument": "EUR_USD"},
        {"type": "HEARTBEAT", "time": "noon"},
    ],
)
def test_an_impossible_line_is_refused_and_counted(line: dict[str, Any]) -> None:
    lines = Lines()
    assert lines.items(line) == []
    assert lines.counts.refused == 1


def test_a_type_that_is_new_is_ignored() -> None:
    lines = Lines()
    assert lines.items({"type": "RATE_LIMIT", "time": "?"}, heartbeat()) == [Heartbeat(NOON)]
    assert (lines.counts.refused, lines.counts.corrupt) == (0, 0)


@pytest.mark.parametrize(
    "line",
    [b'{"type":"PRICE"', b"<html>", b"[]", b"\xff\xfe", b'{"type":7}', b'{"x":' * 100_000, b"1 2"],
)
def test_an_unreadable_line_is_skipped_and_counted(line: bytes) -> None:
    lines = Lines()
    assert lines.items(heartbeat(), line, price()) == [
        Heartbeat(NOON),
        Quote("EUR_USD", NOON, 110_000, 110_010),
    ]
    assert lines.counts.corrupt == 1


def test_too_many_unreadable_lines_end_the_stream() -> None:
    lines = Lines(corrupt_limit=3)
    lines(b"{", b"{", b"{")
    with pytest.raises(TransientError, match="unreadable"):
        lines(price(), b"{")
    assert lines.counts.corrupt == 4


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_the_quick_way_to_read_a_time_agrees_with_the_plain_one(time_ns: int) -> None:
    assert Lines().items(heartbeat(time_ns)) == [Heartbeat(time_ns)]


@given(st.text(max_size=32))
def test_no_text_is_a_time_for_one_and_not_for_the_other(text: str) -> None:
    try:
        expected = [Heartbeat(parse_time(text))]
    except InputError:
        expected = []
    assert Lines().items({"type": "HEARTBEAT", "time": text}) == expected


def test_many_distinct_prices_do_not_grow_the_memory_without_bound() -> None:
    lines = Lines()
    for number in range(70_000):
        lines.lines._price("EUR_USD", f"1.{number:05d}")
    assert len(lines.lines._points["EUR_USD"]) <= 65_536


def test_batches_do_not_depend_on_where_blocks_are_cut() -> None:
    """Between the lines that matter for order, batches differ only in how they are joined."""
    script = [
        price(NOON),
        price(NOON + 1, afterTransaction="7"),
        price(NOON + 2),
        price(NOON + 3, afterTransaction="7", token="1"),
        heartbeat(NOON + 4),
        price(NOON + 5, afterTransaction="9"),
    ]

    def flat(batches: list[PriceBatch]) -> list[object]:
        order: list[object] = []
        for batch in batches:
            order += [] if batch.after_transaction is None else [("after", batch.after_transaction)]
            order += [*batch.items]
            order += [] if batch.token is None else [("token", batch.token)]
        return order

    whole = flat(Lines()(*script))
    for cut in range(len(script)):
        lines = Lines()
        assert flat(lines(*script[:cut]) + lines(*script[cut:])) == whole
    assert whole[1] == ("after", 7)


async def test_lines_are_put_together_whatever_they_are_cut_into() -> None:
    data = b'{"a":1}\n{"b":2}\n{"c":3}\n{"cut'
    for size in range(1, len(data) + 1):
        reader = stream(*(data[at : at + size] for at in range(0, len(data), size)))
        blocks = [block async for block in line_blocks(reader, 5)]
        assert b"".join(blocks) == data[:-5]
        assert all(block.endswith(b"\n") for block in blocks)


async def test_a_line_without_end_is_not_collected_for_ever() -> None:
    reader = stream(*[b"x" * (LINE_LIMIT // 4)] * 5)
    with pytest.raises(TransientError, match="line of more than"):
        async for _ in line_blocks(reader, 5):
            pass


class _Protocol:
    """What aiohttp's reader asks of its protocol."""

    _reading_paused = False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self, resume_parser: bool = True) -> None:
        pass


def stream(*parts: bytes) -> aiohttp.StreamReader:
    """A body that arrives in `parts` and ends."""
    reader = aiohttp.StreamReader(
        _Protocol(),  # type: ignore[arg-type]
        limit=1 << 30,
        loop=asyncio.get_running_loop(),
    )
    for part in parts:
        reader.feed_data(part)
    reader.feed_eof()
    return reader
