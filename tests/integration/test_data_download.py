"""`sepd data download` against the practice venue, both as processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from watchfiles import awatch

from sepd.domain.market import Granularity
from sepd.domain.time import format_time
from sepd.history.dataset import Dataset
from sepd.history.files import price_text
from sepd.history.segment import Rows
from sepd.market.instruments import instrument_named
from sepd.market.tape import open_tape, sample_path
from tests.support.history import rows_of
from tests.support.venue import Venue, venue, write_ticks

TAPE = open_tape(sample_path())
COMMAND = (sys.executable, "-c", "from sepd.cli.data import app; app()")


@pytest.fixture
async def played() -> AsyncIterator[Venue]:
    """A venue that has played the whole EUR/USD sample."""
    async with venue("--tape", str(sample_path()), "--speed", "step") as running:
        await running.advance(TAPE.quote_count)
        yield running


@pytest.fixture
async def ticking(tmp_path: Path) -> AsyncIterator[Venue]:
    """A venue on the sample's quotes as ticks, which it gives as M1 candles too."""
    text = price_text(5)
    rows = [(q.time_ns, text(q.bid), text(q.ask)) for q in TAPE.quotes()]
    tape = write_ticks(tmp_path / "EUR_USD.tick.csv", rows)
    async with venue("--tape", str(tape), "--speed", "step") as running:
        await running.advance(TAPE.quote_count)
        yield running


class Client:
    """`sepd data` commands on one data folder."""

    def __init__(self, folder: Path, venue: Venue) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._config = folder / "sepd.toml"
        self._config.write_text(
            f'data_dir = "{folder}"\n[broker]\nrest_url = "{venue.url}"\n'
            f'stream_url = "{venue.url}"\nrequests_per_s = 40\n'
        )
        self._environment = {
            **os.environ,
            "OANDA_API_KEY": venue.token,
            "OANDA_ACCOUNT_ID": venue.account,
        }

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            *("--config", str(self._config), "--json"),
            env=self._environment,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str) -> tuple[int, Any]:
        process = await self.start(*arguments)
        out, err = await process.communicate()
        assert not err, err.decode()
        return process.returncode or 0, json.loads(out)

    def rows(self, length: Granularity) -> Rows:
        one = Dataset(self.folder / "history", instrument_named("EUR_USD"), length)
        return np.concatenate(list(one.rows()))


def span(length: Granularity) -> tuple[str, ...]:
    start, end = format_time(TAPE.start_ns), format_time(TAPE.end_ns)
    return ("download", "EUR_USD", "-g", length.value, "--from", start, "--to", end)


async def test_downloaded_candles_are_the_venues_and_a_sample_agrees(
    tmp_path: Path, played: Venue
) -> None:
    client = Client(tmp_path, played)
    code, report = await client.run(*span(Granularity.H1))
    assert (code, report[0]["candles"], report[0]["refused"]) == (0, 5_000, 0)
    prices = slice(0, 9)
    assert np.array_equal(client.rows(Granularity.H1)[:, prices], rows_of(TAPE)[:, prices])
    code, again = await client.run(*span(Granularity.H1))
    assert (code, again[0]["candles"], again[0]["chain"]) == (0, 0, report[0]["chain"])
    code, verdicts = await client.run("verify", "--sample", "3")
    assert (code, verdicts[0]["findings"], verdicts[0]["rows"]) == (0, [], 5_000)
    assert verdicts[0]["compared"] > 0
    code, _ = await client.run("gaps")
    assert code == 0


def segments(folder: Path) -> int:
    return len(list(folder.rglob("*.segment")))


async def kill_after(process: asyncio.subprocess.Process, folder: Path, more: int) -> None:
    """SIGKILL once so many more segments have appeared, unless the process ends before."""
    wanted = segments(folder) + more

    async def watch() -> None:
        async for _ in awatch(folder, debounce=10, step=1):
            if segments(folder) >= wanted:
                return

    async with asyncio.TaskGroup() as tasks:
        waiting = {tasks.create_task(process.wait()), tasks.create_task(watch())}
        if more:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if process.returncode is None:
            process.kill()
        for task in waiting:
            task.cancel()
    await process.communicate()


async def download_through_kills(folder: Path, played: Venue, kills: int, most: int) -> None:
    """Kill the download after a random number of segments, again and again; then finish it.

    It must end with the bytes of an undisturbed one.
    """
    rng = random.Random(kills)
    disturbed, calm = Client(folder / "disturbed", played), Client(folder / "calm", played)
    counts: list[int] = []
    for _ in range(kills):
        process = await disturbed.start(*span(Granularity.M1))
        await kill_after(process, disturbed.folder, rng.randrange(most + 1))
        counts.append(segments(disturbed.folder))
    code, report = await disturbed.run(*span(Granularity.M1))
    assert code == 0
    code, reference = await calm.run(*span(Granularity.M1))
    assert code == 0
    assert report[0]["rows"] == reference[0]["rows"] > 19_000
    assert any(0 < count < segments(calm.folder) for count in counts)
    assert report[0]["chain"] == reference[0]["chain"]
    rows, expected = disturbed.rows(Granularity.M1), calm.rows(Granularity.M1)
    assert np.array_equal(rows, expected)
    code, verdicts = await disturbed.run("verify")
    assert (code, verdicts[0]["findings"]) == (0, [])


@pytest.mark.timeout(120)
async def test_a_killed_download_ends_with_the_rows_of_an_undisturbed_one(
    tmp_path: Path, ticking: Venue
) -> None:
    await download_through_kills(tmp_path, ticking, kills=3, most=20)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_fifty_kills_change_no_row(tmp_path: Path, ticking: Venue) -> None:
    await download_through_kills(tmp_path, ticking, kills=50, most=3)
