"""Every bit of the recorded OANDA tapes."""

import csv
import gzip
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sepd.bitspace import BitPlanes, MarketDataConverter
from tests.unit.bitspace import oracle
from tests.unit.bitspace.conftest import Engine

TICKS = ("EUR_USD.tick", "NZD_USD.tick")
CANDLES = ("EUR_USD.M1", "NZD_USD.M1", "EUR_USD.H1", "NZD_USD.H1")
MAX_GAP_NS = {"tick": 10 * 60 * 10**9, "M1": 30 * 60 * 10**9, "H1": 26 * 3600 * 10**9}


def points(price: str) -> int:
    whole, _, fraction = price.partition(".")
    return int(whole + fraction.ljust(5, "0"))


def nanoseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


@cache
def planes(folder: Path, name: str, most: int | None = None) -> BitPlanes:
    with gzip.open(folder / "oanda" / f"{name}.csv.gz", "rt") as file:
        rows = list(islice(csv.DictReader(file), most))
    columns = ("bid", "ask") if "tick" in name else ("bid_close", "ask_close")
    times = np.array([nanoseconds(row["time"]) for row in rows], np.int64)
    bid, ask = (np.array([points(row[column]) for row in rows], np.int64) for column in columns)
    gap = MAX_GAP_NS[name.partition(".")[2]]
    return MarketDataConverter(max_gap_ns=gap).convert(times, bid, ask)


@cache
def expected(folder: Path, name: str, most: int | None = None) -> NDArray[np.int32]:
    tape = planes(folder, name, most)
    return np.array(oracle.rows(tape.direction.tolist(), tape.starts.tolist(), 64, 1), np.int32)


@pytest.fixture(autouse=True)
def forget_windows() -> Iterator[None]:
    yield
    oracle.shape.cache_clear()


def check(engine: Engine, folder: Path, name: str, most: int | None = None) -> None:
    tape = planes(folder, name, most)
    found = engine(tape.direction, tape.starts.tolist(), 64, 1)
    assert found.shape == (tape.direction.size, 15)
    np.testing.assert_array_equal(found, expected(folder, name, most))


@pytest.mark.parametrize("name", CANDLES)
def test_every_bit_of_the_candle_tapes(engine: Engine, sepd_data: Path, name: str) -> None:
    check(engine, sepd_data, name)


@pytest.mark.parametrize("name", TICKS)
def test_the_first_day_of_ticks(engine: Engine, sepd_data: Path, name: str) -> None:
    check(engine, sepd_data, name, 30_000)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TICKS)
def test_every_bit_of_the_tick_tapes(engine: Engine, sepd_data: Path, name: str) -> None:
    check(engine, sepd_data, name)
