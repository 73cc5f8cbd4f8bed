"""`sepd run` is told to stop in the middle of a fill, is frozen, and hangs."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from pathlib import Path

import asyncpg
import pytest

from tests.support.judge import judge, say, settle, timed
from tests.support.storage import SOCKET, fetch
from tests.support.unix_proxy import UnixProxy
from tests.support.whole import whole

pytestmark = pytest.mark.timeout(120)
SLOW_REPLIES = """
[[fault]]
kind = "delay"
match = "POST /v3/accounts/*/orders"
when = "after"
seconds = 2
count = 0
"""
COMMIT = re.compile(rb"^[BP].*(sepd-[0-9a-f]{22}).*ENTRY.*demo-polarity", re.DOTALL)
WIDE = {"SEPD_RISK__STOP_PIPS": "200", "SEPD_RISK__TARGET_PIPS": "300"}


async def test_a_stop_in_the_middle_of_a_fill_waits_for_it(
    tmp_path: Path, database_url: str, valkey_url: str
) -> None:
    script = tmp_path / "faults.toml"
    script.write_text(SLOW_REPLIES)
    async with whole(tmp_path, database_url, valkey_url, "--faults", str(script)) as place:
        daemon = await place.start(SEPD_RULE__HOLD_CANDLES="1000", **WIDE)
        await place.filled(1)
        with timed() as drained:
            assert await daemon.stop() == 0, daemon.tail()
        assert drained[0] < 20
        say(drained_s=drained[0], record=await judge(place))
        orders = await fetch(database_url, "SELECT state FROM orders")
        assert {row["state"] for row in orders} <= {"FILLED", "EXPIRED"}


async def test_a_frozen_leader_is_followed_and_sends_nothing_when_it_thaws(
    tmp_path: Path, database_url: str, valkey_url: str
) -> None:
    address, _, folder = database_url.partition("?host=")
    near = tmp_path / "near"
    near.mkdir()
    async with (
        UnixProxy(near / SOCKET, Path(folder) / SOCKET) as line,
        whole(tmp_path, database_url, valkey_url) as place,
    ):
        far = f"{address}?host={near}"
        first = await place.start(DATABASE_URL=far, SEPD_BROKER__TIMEOUT_S="3")
        await place.filled(1)
        second = await place.start("b", SEPD_BROKER__TIMEOUT_S="3")
        await second.until(lambda s: s["state"] == "starting")
        line.hold_reply_to = COMMIT
        held = COMMIT.search(await asyncio.wait_for(line.held, 20))
        assert held
        first.process.send_signal(signal.SIGSTOP)
        line.release()
        with timed() as taken:
            await second.until(lambda s: s["state"] != "starting")
            await place.filled(await place.count("ORDER_FILL") + 4)
        first.process.send_signal(signal.SIGCONT)
        assert await first.ended() == 1
        queued = held[1].decode()
        sent = [row for row in await place.record() if queued in str(row)]
        assert not sent, "an order went out after the freeze"
        say(trades_again_s=taken[0], record=await settle(place, second))


class Notices:
    """What a service manager would read at `$NOTIFY_SOCKET`."""

    def __init__(self, listening: socket.socket) -> None:
        self._socket = listening
        self._socket.setblocking(False)

    async def next(self, within_s: float) -> str:
        """The next message.

        Raises:
            TimeoutError: none came.
        """
        async with asyncio.timeout(within_s):
            return (await asyncio.get_running_loop().sock_recv(self._socket, 4_096)).decode()

    async def until(self, text: str, within_s: float = 20) -> None:
        """Return when a message begins with `text`."""
        async with asyncio.timeout(within_s):
            while not (await self.next(within_s)).startswith(text):
                pass

    async def silence(self, seconds: float, within_s: float = 30) -> None:
        """Return when nothing has come for so long."""
        async with asyncio.timeout(within_s):
            while True:
                try:
                    await self.next(seconds)
                except TimeoutError:
                    return


async def test_the_watchdog_is_fed_by_the_consumer_alone(
    tmp_path: Path, database_url: str, valkey_url: str
) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        notices = Notices(listening)
        async with whole(tmp_path, database_url, valkey_url) as place:
            daemon = await place.start(
                NOTIFY_SOCKET=address,
                SEPD_DATABASE__QUEUE_ROWS="1024",
                SEPD_DATABASE__TIMEOUT_S="1",
            )
            await notices.until("READY=1")
            await notices.until("WATCHDOG=1")
            place.place.freeze()
            await daemon.until(lambda s: s["queue"]["depth"] == 0)
            for _ in range(3):
                await notices.until("WATCHDOG=1", within_s=3)
            place.place.thaw()
            holder = await asyncpg.connect(database_url)
            async with holder.transaction():
                await holder.execute("LOCK TABLE ticks IN ACCESS EXCLUSIVE MODE")
                await notices.silence(3)
                status = await daemon.until(lambda s: not s["store"]["ok"])
                assert "did not answer in time" in status["store"]["detail"]
            await holder.close()
            await notices.until("WATCHDOG=1")
            await place.filled(await place.count("ORDER_FILL") + 2)
            record = await settle(place, daemon)
            await notices.until("STOPPING=1")
            say(record=record)
