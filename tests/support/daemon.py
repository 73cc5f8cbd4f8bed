"""One life of `sepd run` as a process: what it says, what it is told, how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from sepd.errors import TransientError

POLL_S = 0.02


async def until(holds: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Return when `holds` answers that it does.

    Raises:
        TimeoutError: it did not in time.
    """
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110 - another process, which tells nobody
            await asyncio.sleep(POLL_S)


class Daemon:
    """One life of `sepd run`; what it logs is kept in a file."""

    def __init__(self, process: Process, port: int, folder: Path, log: Path) -> None:
        self.process = process
        self.log = log
        self._url = f"http://127.0.0.1:{port}/status"
        self._control = folder / "control.sock"

    async def status(self) -> dict[str, Any] | None:
        """What it says of itself; None while it does not answer."""
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            try:
                async with session.get(self._url) as reply:
                    found: dict[str, Any] = await reply.json()
                    return found
            except (aiohttp.ClientError, TimeoutError):
                return None

    async def until(self, seen: Callable[[Any], bool], within_s: float = 20) -> dict[str, Any]:
        """The first status for which `seen` holds."""
        status: dict[str, Any] | None = None

        async def look() -> bool:
            nonlocal status
            status = await self.status()
            return self.process.returncode is not None or (status is not None and seen(status))

        with suppress(TimeoutError):
            await until(look, within_s)
        if status is not None and seen(status):
            return status
        raise AssertionError(f"ended: {self.process.returncode}; last: {status}; {self.tail()}")

    async def ended(self, within_s: float = 30) -> int:
        """Its exit status."""
        try:
            async with asyncio.timeout(within_s):
                return await self.process.wait()
        except TimeoutError:
            raise AssertionError(f"It does not end: {self.tail()}") from None

    async def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def command(self, name: str) -> Any:
        """What `sepd ctl` would ask.

        Raises:
            TransientError: it is not running.
        """
        connector = aiohttp.UnixConnector(str(self._control))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(f"http://sepd/api/v1/commands/{name}", data=b"{}") as reply,
        ):
            answer = await reply.json()
            if not answer["ok"]:
                raise TransientError(answer["error"])
            return answer["result"]

    async def flat(self, within_s: float = 30) -> None:
        """Form no new signals and close everything; return when nothing is under way any more.

        Orders of unknown fate are not waited for.
        """
        await self.command("pause")
        async with asyncio.timeout(within_s):
            while True:
                await self.command("flatten")
                orders = await self.command("orders")
                moving = [order for order in orders if order["state"] not in ("FILLED", "UNKNOWN")]
                if not moving and not await self.command("positions"):
                    return
                await asyncio.sleep(0.05)

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of one kind."""
        lines = self.log.read_text().splitlines()
        rows = [json.loads(line) for line in lines if line.startswith("{")]
        return [row for row in rows if row["event"] == event]

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text().splitlines()[-12:])
