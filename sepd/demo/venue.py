"""The practice venue as a process of its own, which ends with the demo."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from sepd.demo.tape import TapeFacts
from sepd.domain.market import Granularity
from sepd.errors import InputError, TransientError
from sepd.settings import BrokerSettings, Settings

STOP_S = 10.0


class Venue:
    """The practice venue's process, as its parent sees it."""

    def __init__(self, hello: dict[str, Any]) -> None:
        self.url = f"http://127.0.0.1:{hello['port']}"
        self.token = str(hello["token"])
        self.account = str(hello["account"])

    async def state(self) -> dict[str, Any]:
        """How far the tape is and what the account holds."""
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            async with (
                aiohttp.ClientSession(self.url, headers=headers) as session,
                session.get("/v3/venue/state") as response,
            ):
                found: dict[str, Any] = msgspec.json.decode(await response.read())
                return found
        except aiohttp.ClientError as error:
            raise TransientError(f"The practice venue does not answer: {error}.") from None


@asynccontextmanager
async def open_venue(facts: TapeFacts, speed: str, lockstep: Granularity) -> AsyncIterator[Venue]:
    """The venue's process; it ends with the context, and with us if we are killed."""
    if speed != "max" and facts.granularity:
        speed = str(float(speed) * facts.granularity.seconds)
    arguments = ["--tape", str(facts.path), "--speed", speed, "--lockstep", lockstep.value]
    arguments += ["--exit-with-parent"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sepd", "venue", *arguments, stdout=PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        hello = await process.stdout.readline()
        if not hello:
            raise InputError("The practice venue did not start; it says above why.")
        yield Venue(msgspec.json.decode(hello))
    finally:
        await _stop(process)


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def with_broker(settings: Settings, venue: Venue) -> Settings:
    """The settings with `venue` as the broker."""
    broker = settings.broker.model_dump() | {
        "rest_url": venue.url,
        "stream_url": venue.url,
        "api_key": venue.token,
        "account_id": venue.account,
    }
    return settings.model_copy(update={"broker": BrokerSettings(**broker)})
