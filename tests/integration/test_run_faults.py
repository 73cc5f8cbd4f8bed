"""`sepd run` trades while its database and its cache die, freeze and fill up."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from sepd.cache.embedded import EmbeddedRedis
from sepd.storage.embedded import EmbeddedPostgres
from tests.support.disk import fill
from tests.support.judge import say, settle, timed
from tests.support.servers import UNSAFE
from tests.support.storage import fetch, kill, processes
from tests.support.whole import whole

pytestmark = pytest.mark.timeout(120)
EXITS = """
    SELECT state, count(*) FROM orders JOIN order_intents USING (intent_id)
    WHERE purpose = 'EXIT' GROUP BY state
"""
ROUNDS = int(os.environ.get("SEPD_SERVER_FAULTS", "1"))


@pytest.mark.timeout(90 + 30 * ROUNDS)
async def test_a_killed_database_ends_the_daemon_and_a_restart_goes_on(
    tmp_path: Path, valkey_url: str
) -> None:
    async with (
        EmbeddedPostgres(tmp_path / "pg", UNSAFE) as server,
        whole(tmp_path, server.url, valkey_url, seconds=1_200 * (ROUNDS + 1)) as place,
    ):
        daemon = await place.start()
        for _ in range(ROUNDS):
            await place.filled(await place.count("ORDER_FILL") + 6)
            with timed() as ended:
                await kill(server)
                assert await daemon.ended() == 1, daemon.tail()
            failed = daemon.logged("daemon_failed")
            assert "PostgreSQL" in str(failed[0]["reasons"]), daemon.tail()
            assert "used wrongly" not in str(failed[0]["reasons"])
            assert "PostgreSQL" in daemon.tail().splitlines()[-1]
            record = await place.record()
            refused = await place.start()
            assert await refused.ended() == 1
            left = [row for row in await place.record() if row["type"] == "MARKET_ORDER"]
            assert left == [row for row in record if row["type"] == "MARKET_ORDER"]
            await server.close()
            await server.open()
            with timed() as back:
                daemon = await place.recovered()
            say(ended_s=ended[0], trades_again_s=back[0])
        say(record=await settle(place, daemon))


async def test_a_frozen_database_ends_the_daemon_in_time(tmp_path: Path, valkey_url: str) -> None:
    async with (
        EmbeddedPostgres(tmp_path / "pg", UNSAFE) as server,
        whole(tmp_path, server.url, valkey_url) as place,
    ):
        daemon = await place.start(SEPD_DATABASE__TIMEOUT_S="1")
        await place.filled(4)
        held = processes(server)
        for process in held:
            process.suspend()
        try:
            with timed() as ended:
                assert await daemon.ended() == 1, daemon.tail()
        finally:
            for process in held:
                process.resume()
        with timed() as back:
            daemon = await place.recovered()
        say(ended_s=ended[0], trades_again_s=back[0])
        say(record=await settle(place, daemon))


async def test_a_full_disk_stops_entries_and_no_exit(small_disk: Path, valkey_url: str) -> None:
    options = UNSAFE | {"checkpoint_timeout": "1h"}  # a checkpoint would make room
    ballast, exits = small_disk / "ballast", small_disk.parent / "a" / "exits.jsonl"
    wide = {"SEPD_RISK__STOP_PIPS": "200", "SEPD_RISK__TARGET_PIPS": "300"}
    async with (
        EmbeddedPostgres(small_disk / "pg", options) as server,
        whole(small_disk.parent, server.url, valkey_url) as place,
    ):
        daemon = await place.start(SEPD_RULE__HOLD_CANDLES="1000", **wide)
        await daemon.until(lambda s: len(s["positions"]) >= 2)
        # A page for each row: no intent fits into what is left of one.
        await fetch(server.url, "ALTER TABLE order_intents SET (fillfactor = 10)")
        fill(ballast)
        status = await daemon.until(lambda s: not s["store"]["ok"])
        assert (status["state"], bool(status["risk"]["blocked"])) == ("degraded", True), status
        assert "No space left" in status["store"]["detail"]
        entered = await place.entries()
        await daemon.command("flatten")
        await place.closed()
        assert await place.entries() == entered
        # What an aborted statement gives back may be room enough for an exit.
        kept = len(exits.read_text().splitlines()) if exits.exists() else 0
        ballast.unlink()
        await daemon.until(lambda s: s["store"]["ok"])
        assert await daemon.stop() == 0
        daemon = await place.recovered()
        assert not exits.exists()
        say(kept=kept, record=await settle(place, daemon))
        ended = await fetch(server.url, EXITS)
        assert {row["state"] for row in ended} == {"CLOSED"}, ended


async def test_the_cache_may_die_and_freeze(tmp_path: Path, database_url: str) -> None:
    async with (
        EmbeddedRedis(tmp_path / "redis") as server,
        whole(tmp_path, database_url, server.url) as place,
    ):
        daemon = await place.start()
        await place.filled(4)
        for fault in (signal.SIGSTOP, signal.SIGKILL):
            psutil.Process(server.pid).send_signal(fault)
            status = await daemon.until(lambda s: not s["cache"]["ok"])
            assert (status["state"], status["cache"]["detail"]) == (
                "degraded",
                "Valkey does not answer.",
            )
            await place.filled(await place.count("ORDER_FILL") + 4)
            if fault is signal.SIGSTOP:
                psutil.Process(server.pid).send_signal(signal.SIGCONT)
            else:
                await server.close()
                await server.open()
            await daemon.until(lambda s: s["cache"]["ok"])
        say(record=await settle(place, daemon))
