"""The practice venue as a process, for clients that block."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

TICKS = 1_500


def write_tape(
    folder: Path, count: int = TICKS, name: str = "EUR_USD", base: float = 1.1, digits: int = 5
) -> Path:
    """Ticks a second apart that rise pip by pip for 97 seconds and fall back."""
    file = folder / f"{name}.tick.csv"
    pip = 10.0 ** (1 - digits)
    rows = (
        f"2014-05-01T00:{n // 60:02d}:{n % 60:02d}.000Z,"
        f"{base + n % 97 * pip:.{digits}f},{base + (n % 97 + 1) * pip:.{digits}f}\n"
        for n in range(count)
    )
    file.write_text("time,bid,ask\n" + "".join(rows))
    return file


class Venue:
    """A running venue process and where it is."""

    def __init__(self, process: subprocess.Popen[str], said: dict[str, Any]) -> None:
        self.process = process
        self.port = int(said["port"])
        self.token = str(said["token"])
        self.account_id = str(said["account"])
        self.url = f"http://127.0.0.1:{said['port']}"
        self.account = f"{self.url}/v3/accounts/{said['account']}"
        self.headers = {"Authorization": f"Bearer {said['token']}"}

    @asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """An authorised client."""
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(headers=self.headers, timeout=timeout) as session:
            yield session


def command(*arguments: str) -> list[str]:
    """The command line of `sepd venue`."""
    return [sys.executable, "-m", "sepd", "venue", *arguments]


@contextmanager
def running(*arguments: str) -> Iterator[Venue]:
    """A venue that is stopped at the end and must then exit with 0."""
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Venue(process, json.loads(process.stdout.readline()))
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


async def lines(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """Objects of a stream, one a line."""
    async for line in response.content:
        assert line.strip(), "blank lines crash OANDA's own client"
        yield json.loads(line)
