"""Strides must do exactly what quote-by-quote playing does."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from sepd.domain.market import Granularity
from sepd.market.tape import Tape, open_tape
from sepd.venue.config import FinancingRates, VenueConfig
from sepd.venue.engine import Engine
from sepd.venue.lines import LineEncoder, heartbeat, with_fields
from sepd.venue.money import ZERO
from sepd.venue.playback import Playback
from sepd.venue.recording import Recording
from sepd.venue.requests import parse_order

CHARGED = FinancingRates(Decimal("-0.02"), Decimal("-0.01"))
RULES = VenueConfig(financing={"EUR_USD": CHARGED, "NZD_USD": CHARGED}, conversion_markup=ZERO)


def tick_tape(folder: Path, name: str, rows: list[tuple[str, str, str]]) -> Tape:
    """A tick tape with these rows."""
    file = folder / f"{name}.tick.csv"
    file.write_text("time,bid,ask\n" + "".join(",".join(row) + "\n" for row in rows))
    return open_tape(file)


def walk(seed: int, count: int) -> list[tuple[str, str, str]]:
    """Ticks a second apart from ten to five in New York, from a seeded walk."""
    steps = np.random.default_rng(seed).integers(-40, 41, count).cumsum() + 110_000
    return [
        (
            f"2014-05-01T{20 + (50 + n // 60) // 60}:{(50 + n // 60) % 60:02d}:{n % 60:02d}.000Z",
            f"{bid / 1e5:.5f}",
            f"{(bid + 10) / 1e5:.5f}",
        )
        for n, bid in enumerate(steps.tolist())
    ]


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> list[Tape]:
    """Two instruments."""
    folder = tmp_path_factory.mktemp("tapes")
    return [
        tick_tape(folder, "EUR_USD", walk(1, 900)),
        tick_tape(folder, "NZD_USD", walk(2, 700)),
    ]


def orders(engine: Engine, distances: list[int]) -> None:
    """Trades with a stop and a target at these distances around the newest quotes."""
    for number, distance in enumerate(distances):
        name = ("EUR_USD", "NZD_USD")[number % 2]
        quote = engine.account.market.quotes[name]
        sign = 1 if name == "EUR_USD" else -1
        stop, target = quote.bid - sign * distance, quote.bid + sign * 2 * distance
        body = {
            "type": "MARKET",
            "instrument": name,
            "units": str(sign * 3_000),
            "stopLossOnFill": {"price": engine.account.price(name, stop)},
            "takeProfitOnFill": {"price": engine.account.price(name, target)},
            "trailingStopLossOnFill": {"distance": engine.account.price(name, 60 + distance)},
        }
        if number % 4:
            del body["trailingStopLossOnFill"]
        engine.place(parse_order({"order": body}))


@settings(max_examples=40)
@given(
    st.lists(st.integers(20, 400), max_size=6),
    st.lists(st.integers(1, 300), min_size=1),
    st.integers(70, 300),
)
def test_strides_make_the_same_transactions_as_single_quotes(
    tapes: list[Tape], distances: list[int], strides: list[int], balance: int
) -> None:
    recording = Recording(tapes)
    rules = structs.replace(RULES, balance=Decimal(balance))
    single, strided = (
        Playback(recording, Engine(recording.instruments, rules, recording.start_ns), None)
        for _ in range(2)
    )
    for playback in (single, strided):
        playback.advance(10)
        orders(playback.engine, distances)
    for row in range(10, len(recording)):
        single.engine.on_quote(recording.quote(row))
    turn = 0
    while not strided.ended:
        strided.advance(strides[turn % len(strides)])
        turn += 1
    assert strided.engine.account.ledger.rows == single.engine.account.ledger.rows
    assert strided.engine.account.market.quotes == single.engine.account.market.quotes


def test_a_block_ends_with_the_quote_that_closes_a_candle(tapes: list[Tape]) -> None:
    recording = Recording(tapes[:1])
    playback = Playback(recording, Engine(recording.instruments), Granularity.M5)
    blocks = []
    while not playback.ended:
        blocks.append(playback.advance(10_000))
    assert [(block.stop - 1, block.closes) for block in blocks] == [
        (300, True),
        (600, True),
        (899, False),
    ]


def test_tapes_merge_by_time(tapes: list[Tape]) -> None:
    recording = Recording(tapes)
    assert len(recording) == 1_600
    assert (np.diff(recording.times) >= 0).all()
    assert [recording.quote(row).instrument for row in (0, 1)] == ["EUR_USD", "NZD_USD"]


def test_lines_are_the_prices_of_the_tape(tapes: list[Tape]) -> None:
    recording = Recording(tapes)
    lines = LineEncoder(recording, 1_000).lines(0, 4, frozenset({"NZD_USD"}))
    assert len(lines) == 2
    first = recording.quote(1)
    assert lines[0].endswith('"tradeable":true,"instrument":"NZD_USD"}\n')
    assert f'"closeoutBid":"{first.bid / 1e5:.5f}"' in lines[0]
    assert with_fields(lines[0], '"token":"1"').endswith(',"token":"1"}\n')
    assert heartbeat(0) == '{"type":"HEARTBEAT","time":"1970-01-01T00:00:00.000000000Z"}\n'
