"""The whole daemon as a process, trading all the time, with its venue and servers as processes.

A tape that wanders is played twenty times as fast as real time on a Wednesday at noon, and the
daemon's clock with it; the rule enters or leaves at every candle of five seconds, so that a pair
trades about twice a second. `Whole` starts and watches the daemons of one account.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from sepd.clock import SystemClock
from sepd.domain.time import parse_time
from tests.support.daemon import POLL_S, Daemon, until
from tests.support.trading import NOON, S
from tests.support.venue import Venue, venue, write_ticks

SPEED = 20
PAIRS = {"EUR_USD": 110_000, "GBP_USD": 130_000, "USD_CHF": 90_000}
QUOTE_NS = S // 4
SETTINGS = {
    "MODE": "practice",
    "INSTRUMENTS": ",".join(PAIRS),
    "MARKET__BASE": "S5",
    "MARKET__GRANULARITIES": "S10",
    "BITSPACE__WINDOW": "3",
    "BITSPACE__ITERATIONS": "1",
    "BITSPACE__BACKEND": "numpy",
    "RULE__GRANULARITIES": "S5",
    "RULE__POLARITY_MIN": "0",
    "RULE__COHERENCE_MIN": "0",
    "RULE__STABILITY_MIN": "0",
    "RULE__VALIDITY_CANDLES": "24",
    "RULE__HOLD_CANDLES": "1",
    "RISK__RISK_PER_TRADE": "0.0002",
    "RISK__STOP_PIPS": "4",
    "RISK__TARGET_PIPS": "6",
    "RISK__PRICE_BOUND_PIPS": "10",
    "RISK__MAX_DAILY_LOSS": "1",
    "RISK__MAX_DRAWDOWN": "1",
    "RISK__MAX_LOSS_STREAK": "100000",
    "RISK__MAX_ORDERS_PER_MINUTE": "1000",
    "RISK__MAX_FILLS_PER_HOUR": "1000",
    "RISK__MAX_QUOTE_AGE_S": "120",
    "RISK__MAX_CLOCK_SKEW_S": "60",
    "BROKER__TIMEOUT_S": "5",
    "LOG__FORMAT": "json",
}


def write_walk(folder: Path, name: str, seconds: int) -> Path:
    """Four quotes a second that go up and down by at most half a pip."""
    rng = random.Random(name)
    mid, rows = PAIRS[name], []
    for number in range(seconds * 4):
        mid += rng.randint(-5, 5)
        at = NOON + number * QUOTE_NS
        rows.append((at, f"{(mid - 4) / 1e5:.5f}", f"{(mid + 4) / 1e5:.5f}"))
    return write_ticks(folder / f"{name}.tick.csv", rows)


class Whole:
    """The venue, and daemons that trade on it.

    Attributes:
        url: where the daemons reach the venue; another where something stands between.
    """

    def __init__(self, place: Venue, folder: Path, database: str, cache: str) -> None:
        self.place = place
        self.database = database
        self.cache = cache
        self.url = place.url
        self.folder = folder
        self._times = ("0", "0", str(SPEED))
        self._daemons: list[Daemon] = []

    async def set_clock(self) -> None:
        """Learn where the tape is, for the daemons' clocks."""
        began_ns = SystemClock().monotonic_ns()
        state = await self.get("/v3/venue/state")
        self._times = (str(parse_time(state["tape_time"])), str(began_ns), str(SPEED))

    async def start(self, name: str = "a", **environ: str) -> Daemon:
        """Start a daemon; those of one name share their folder."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SEPD_", "OANDA_"))}
        ours = {f"SEPD_{key}": value for key, value in SETTINGS.items()}
        where = {
            "DATABASE_URL": self.database,
            "VALKEY_URL": self.cache,
            "OANDA_API_KEY": self.place.token,
            "OANDA_ACCOUNT_ID": self.place.account,
            "SEPD_BROKER__REST_URL": self.url,
            "SEPD_BROKER__STREAM_URL": self.url,
            "SEPD_DATA_DIR": str(folder),
            "SEPD_API__PORT": str(port),
        }
        log = folder / f"log{len(self._daemons)}"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.support.daemon_process", *self._times),
                env=kept | ours | where | environ,
                stdout=output,
                stderr=output,
            )
        daemon = Daemon(process, port, folder, log)
        self._daemons.append(daemon)
        return daemon

    async def recovered(self, name: str = "a", within_s: float = 30) -> Daemon:
        """A daemon that is started again, as systemd does, until it trades."""
        before = await self.count("ORDER_FILL")
        async with asyncio.timeout(within_s):
            while True:
                daemon = await self.start(name)
                running = await self._runs(daemon)
                if running:
                    await self.filled(before + 2)
                    return daemon
                assert daemon.process.returncode == 1, daemon.tail()

    async def _runs(self, daemon: Daemon) -> bool:
        """Whether it comes to run before it ends."""
        while daemon.process.returncode is None:
            status = await daemon.status()
            if status is not None and status["state"] != "starting":
                return True
            await asyncio.sleep(POLL_S)
        return False

    async def record(self) -> list[dict[str, Any]]:
        """The broker's transactions, from the first."""
        rows: list[dict[str, Any]] = []
        path = f"/v3/accounts/{self.place.account}/transactions/sinceid"
        while True:
            page = await self.get(f"{path}?id={rows[-1]['id'] if rows else 0}")
            rows += page["transactions"]
            if not page["transactions"]:
                return rows

    async def get(self, path: str) -> Any:
        """Ask the venue, past whatever stands between it and the daemons."""
        headers = {"Authorization": f"Bearer {self.place.token}"}
        async with (
            aiohttp.ClientSession(self.place.url, headers=headers) as session,
            session.get(path) as reply,
        ):
            assert reply.status == 200, await reply.text()
            return await reply.json()

    async def count(self, kind: str) -> int:
        """Transactions of one type in the broker's record."""
        return sum(row["type"] == kind for row in await self.record())

    async def entries(self) -> int:
        """Orders in the broker's record that open a trade."""
        rows = await self.record()
        return sum(row["type"] == "MARKET_ORDER" and "tradeClose" not in row for row in rows)

    async def closed(self, within_s: float = 20) -> None:
        """Return when no trade is open at the broker."""
        path = f"/v3/accounts/{self.place.account}/openTrades"

        async def flat() -> bool:
            return not (await self.get(path))["trades"]

        await until(flat, within_s)

    async def filled(self, count: int, within_s: float = 20) -> None:
        """Return when the broker's record holds so many fills."""

        async def enough() -> bool:
            return await self.count("ORDER_FILL") >= count

        try:
            await until(enough, within_s)
        except TimeoutError:
            tails = "\n".join(daemon.tail() for daemon in self._daemons[-2:])
            fills = await self.count("ORDER_FILL")
            raise AssertionError(f"{fills} of {count} fills; {tails}") from None

    async def end(self) -> None:
        """Kill what still runs."""
        for daemon in self._daemons:
            if daemon.process.returncode is None:
                daemon.process.kill()
            await daemon.process.wait()


@asynccontextmanager
async def whole(
    folder: Path, database: str, cache: str, *options: str, seconds: int = 2_400
) -> AsyncIterator[Whole]:
    """A venue on a tape of `seconds`, and no daemon yet; daemons left over are killed."""
    tapes = [write_walk(folder, name, seconds) for name in PAIRS]
    named = [part for tape in tapes for part in ("--tape", str(tape))]
    async with venue(*named, "--speed", str(SPEED), *options) as place:
        found = Whole(place, folder, database, cache)
        await found.set_clock()
        try:
            yield found
        finally:
            await found.end()
