from __future__ import annotations

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from sepd.clock import EventClock
from sepd.domain.market import Granularity
from sepd.errors import ConfigError, InputError, TransientError
from sepd.history.dataset import Dataset
from sepd.history.download import SETTLE_NS, CandleSource, Downloader, Progress
from sepd.market.tape import open_tape, sample_path
from tests.support.history import TapeBroker, rows_of

TAPE = open_tape(sample_path())
HOUR = Granularity.H1.ns
LATER = TAPE.end_ns + 100 * HOUR


def dataset(root: Path) -> Dataset:
    return Dataset(root, TAPE.instrument, Granularity.H1, window_candles=100)


def downloader(broker: CandleSource, now_ns: int = LATER) -> Downloader:
    return Downloader(broker, "practice", EventClock(now_ns), random.Random(1))


def test_a_download_holds_exactly_what_the_broker_has(tmp_path: Path) -> None:
    one, broker = dataset(tmp_path), TapeBroker(TAPE)
    received = asyncio.run(downloader(broker).fill(one, TAPE.start_ns, TAPE.end_ns))
    assert received == 5_000
    assert np.array_equal(np.concatenate(list(one.rows())), rows_of(TAPE))
    assert all(to_ns - from_ns <= 100 * HOUR for from_ns, to_ns in broker.asked)
    part = one.manifest().segments[0].parts[0]
    assert (part.origin.source, part.origin.environment) == ("oanda", "practice")
    assert part.origin.request.startswith("candles EUR_USD H1 price=BA from=2017-04-19T09:00:00")


def test_what_is_there_is_not_asked_for_again(tmp_path: Path) -> None:
    one, broker = dataset(tmp_path), TapeBroker(TAPE)
    middle = TAPE.start_ns + 1_234 * HOUR
    asyncio.run(downloader(broker).fill(one, TAPE.start_ns, middle))
    first = len(broker.asked)
    asyncio.run(downloader(broker).fill(one, TAPE.start_ns, TAPE.end_ns))
    assert all(from_ns >= middle for from_ns, _ in broker.asked[first:])
    assert asyncio.run(downloader(broker).fill(one, TAPE.start_ns, TAPE.end_ns)) == 0
    whole = dataset(tmp_path / "whole")
    asyncio.run(downloader(broker).fill(whole, TAPE.start_ns, TAPE.end_ns))
    assert one.manifest().chain == whole.manifest().chain


def test_a_candle_that_may_not_be_complete_is_left_for_later(tmp_path: Path) -> None:
    one, broker = dataset(tmp_path), TapeBroker(TAPE)
    now = TAPE.start_ns + 10 * HOUR
    assert asyncio.run(downloader(broker, now).fill(one, TAPE.start_ns, LATER)) == 9
    assert asyncio.run(downloader(broker, now + SETTLE_NS).fill(one, TAPE.start_ns, LATER)) == 1


def test_passing_faults_are_outlasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sepd.history.download.FIRST_WAIT_S", 0.0)
    one, broker = dataset(tmp_path), TapeBroker(TAPE)
    broker.faults.extend(TransientError("504") for _ in range(7))
    asyncio.run(downloader(broker).fill(one, TAPE.start_ns, TAPE.end_ns))
    assert one.manifest().rows == 5_000


def test_a_broker_that_stays_away_ends_it_with_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sepd.history.download.FIRST_WAIT_S", 0.0)
    one, broker = dataset(tmp_path), TapeBroker(TAPE)
    asyncio.run(downloader(broker).fill(one, TAPE.start_ns, TAPE.start_ns + 1_000 * HOUR))
    broker.faults.extend(TransientError("504") for _ in range(99))
    with pytest.raises(TransientError, match="504"):
        asyncio.run(downloader(broker).fill(one, TAPE.start_ns, TAPE.end_ns))
    assert one.manifest().rows > 0


def test_wrong_credentials_end_it_at_once(tmp_path: Path) -> None:
    broker = TapeBroker(TAPE)
    broker.faults.extend(ConfigError("401") for _ in range(4))
    with pytest.raises(ConfigError, match="401"):
        asyncio.run(downloader(broker).fill(dataset(tmp_path), TAPE.start_ns, TAPE.end_ns))
    assert len(broker.asked) <= 4


def test_a_crossed_candle_is_refused_and_counted(tmp_path: Path) -> None:
    one, broker = dataset(tmp_path), TapeBroker(TAPE)
    bad = TAPE.start_ns + 5 * HOUR
    broker.alter = lambda c: replace(c, ask_close=c.bid_close - 1) if c.time_ns == bad else c
    source = downloader(broker)
    assert asyncio.run(source.fill(one, TAPE.start_ns, TAPE.start_ns + 10 * HOUR)) == 9
    assert source.refused == 1


def test_progress_is_told_window_by_window(tmp_path: Path) -> None:
    told: list[Progress] = []
    clock, rng = EventClock(LATER), random.Random(1)
    source = Downloader(TapeBroker(TAPE), "practice", clock, rng, told.append)
    asyncio.run(source.fill(dataset(tmp_path), TAPE.start_ns, TAPE.end_ns))
    assert [one.done for one in told] == list(range(1, told[-1].wanted + 1))
    assert told[-1].candles == 5_000


def test_ticks_cannot_be_downloaded(tmp_path: Path) -> None:
    ticks = Dataset(tmp_path, TAPE.instrument, None)
    with pytest.raises(InputError, match="no history of ticks"):
        asyncio.run(downloader(TapeBroker(TAPE)).fill(ticks, 0, 1))
