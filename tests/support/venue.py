"""The practice venue as a process of its own, on a tape of the test's."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from msgspec import Struct
from pydantic import SecretStr

from sepd.broker.oanda import OandaBroker
from sepd.clock import SystemClock
from sepd.domain.time import format_time
from sepd.settings import BrokerSettings


class Venue(Struct, frozen=True):
    """Where the venue is."""

    port: int
    token: str
    account: str
    pid: int = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self, url: str = "") -> BrokerSettings:
        """Settings of a client, through `url` if something stands between."""
        return BrokerSettings(
            api_key=SecretStr(self.token),
            account_id=self.account,
            rest_url=url or self.url,
            stream_url=url or self.url,
            timeout_s=10,
        )

    def freeze(self) -> None:
        """Stop the process where it stands, its connections open."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    async def advance(self, quotes: int) -> None:
        """Play so many quotes of a tape that is stepped."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{self.url}/v3/venue/advance", json={"quotes": quotes}) as response,
        ):
            assert response.status == 200, await response.text()


@asynccontextmanager
async def venue(*options: str) -> AsyncIterator[Venue]:
    """Start `sepd venue` with `options`; end it with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sepd", "venue", *options, "--exit-with-parent"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        where = json.loads(await process.stdout.readline())
        yield Venue(where["port"], where["token"], where["account"], process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
            process.send_signal(signal.SIGCONT)
        await process.wait()


@asynccontextmanager
async def client(settings: BrokerSettings, *, paced: bool = False) -> AsyncIterator[OandaBroker]:
    """An open client."""
    broker = OandaBroker(settings, SystemClock(), random.Random(1), paced=paced)
    await broker.open()
    try:
        yield broker
    finally:
        await broker.close()


def write_ticks(file: Path, rows: Sequence[tuple[int, str, str]]) -> Path:
    """A tick tape of (time_ns, bid, ask)."""
    lines = [f"{format_time(at)[:23]}Z,{bid},{ask}" for at, bid, ask in rows]
    file.write_text("\n".join(["time,bid,ask", *lines, ""]))
    return file
