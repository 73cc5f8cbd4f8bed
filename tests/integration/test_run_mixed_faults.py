"""`sepd run` trades while faults of all kinds come one after another, some two at a time.

`SEPD_MIXED=N` draws N faults, `SEPD_MIXED_SEED` others; each is written out before it happens.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from sepd.cache.embedded import EmbeddedRedis
from sepd.storage.embedded import EmbeddedPostgres
from tests.support.daemon import Daemon
from tests.support.judge import say, settle
from tests.support.order_proxy import Cut, OrderProxy, order_proxy
from tests.support.servers import UNSAFE
from tests.support.storage import kill, processes
from tests.support.whole import Whole, whole

FAULTS = int(os.environ.get("SEPD_MIXED", "0"))
SEED = int(os.environ.get("SEPD_MIXED_SEED", "1"))
ENDS = {0, 1, -signal.SIGKILL}


class Troubles:
    """What may happen to a daemon and to all that it needs."""

    def __init__(
        self,
        place: Whole,
        proxy: OrderProxy,
        database: EmbeddedPostgres,
        cache: EmbeddedRedis,
        rng: random.Random,
    ) -> None:
        self._place = place
        self._proxy = proxy
        self._database = database
        self._cache = cache
        self._rng = rng
        self.daemon: Daemon | None = None
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "database_killed": self._kill_database,
            "database_frozen": lambda: self._freeze(processes(self._database), 3),
            "cache_killed": self._kill_cache,
            "cache_frozen": lambda: self._freeze([psutil.Process(self._cache.pid)], 3),
            "venue_frozen": lambda: self._freeze([psutil.Process(self._place.place.pid)], 8),
            "daemon_killed": lambda: self._signal(signal.SIGKILL),
            "daemon_told_to_stop": lambda: self._signal(signal.SIGTERM),
            "daemon_frozen": self._freeze_daemon,
            "lines_cut": self._cut,
            "order_cut": self._cut_order,
        }

    async def run(self, count: int) -> None:
        """So many troubles, every third time two at once; the daemon trades after each."""
        names = sorted(self.kinds)
        for number in range(count):
            chosen = self._rng.sample(names, 2 if number % 3 == 2 else 1)
            say(number=number, faults=chosen)
            async with asyncio.TaskGroup() as together:
                for name in chosen:
                    together.create_task(self._after_a_moment(self.kinds[name]))
            await self._trades_again()
        await self._trades_again()

    async def _after_a_moment(self, trouble: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(self._rng.random() / 2)
        await trouble()

    async def _trades_again(self) -> None:
        """The daemon goes on, or has ended in time with a status that asks for a restart."""
        before = await self._place.count("ORDER_FILL")
        async with asyncio.timeout(90):
            while await self._place.count("ORDER_FILL") < before + 2:
                if self.running.process.returncode is not None:
                    assert self.running.process.returncode in ENDS, self.running.tail()
                    self.daemon = await self._place.start()
                await asyncio.sleep(0.05)

    @property
    def running(self) -> Daemon:
        """The daemon of the moment."""
        assert self.daemon is not None
        return self.daemon

    async def _kill_database(self) -> None:
        await kill(self._database)
        await asyncio.sleep(self._rng.random())
        await self._database.close()
        await self._database.open()

    async def _kill_cache(self) -> None:
        psutil.Process(self._cache.pid).kill()
        await self._cache.close()
        await self._cache.open()

    async def _freeze(self, held: list[psutil.Process], longest_s: float) -> None:
        for process in held:
            process.suspend()
        await asyncio.sleep(self._rng.random() * longest_s)
        for process in held:
            if process.is_running():
                process.resume()

    async def _freeze_daemon(self) -> None:
        if self.running.process.returncode is None:
            await self._freeze([psutil.Process(self.running.process.pid)], 5)

    async def _signal(self, number: signal.Signals) -> None:
        if self.running.process.returncode is None:
            self.running.process.send_signal(number)
            await self.running.ended(40)

    async def _cut(self) -> None:
        self._proxy.cut()

    async def _cut_order(self) -> None:
        self._proxy.plan.append(self._rng.choice(list(Cut)))


@pytest.mark.slow
@pytest.mark.skipif(not FAULTS, reason="SEPD_MIXED=N draws N faults")
@pytest.mark.timeout(120 + 60 * FAULTS)
async def test_whatever_comes_is_survived(tmp_path: Path) -> None:
    async with (
        EmbeddedPostgres(tmp_path / "pg", UNSAFE) as database,
        EmbeddedRedis(tmp_path / "redis") as cache,
        whole(tmp_path, database.url, cache.url, seconds=600 * (FAULTS + 2)) as place,
        order_proxy(place.place.url) as proxy,
    ):
        place.url = proxy.url
        troubles = Troubles(place, proxy, database, cache, random.Random(SEED))
        troubles.daemon = await place.start()
        await place.filled(2)
        await troubles.run(FAULTS)
        say(seed=SEED, record=await settle(place, troubles.running))
