"""The servers that sepd carries: started, used again, and gone with the process that ran them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis.asyncio as redis

from sepd.cache.embedded import EmbeddedRedis
from sepd.embedded import launch
from sepd.errors import ConfigError
from sepd.storage.embedded import EmbeddedPostgres, running_url
from tests.conftest import ROOT
from tests.support.servers import UNSAFE

Server = EmbeddedPostgres | EmbeddedRedis
KINDS = [EmbeddedPostgres, EmbeddedRedis]
SCRIPT = ROOT / "tests/support/embedded_process.py"
NOBODY = 65_534


async def query(url: str, *statements: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


@asynccontextmanager
async def running(
    folder: Path, *prefix: str
) -> AsyncIterator[tuple[Process, list[psutil.Process]]]:
    """A process that holds both servers, and the servers."""
    holder = await asyncio.create_subprocess_exec(
        *prefix, sys.executable, str(SCRIPT), str(folder), stdin=PIPE, stdout=PIPE
    )
    assert holder.stdout is not None
    try:
        pids = (await holder.stdout.readline()).split()
        assert len(pids) == 2
        yield holder, [psutil.Process(int(pid)) for pid in pids]
    finally:
        if holder.returncode is None:
            holder.kill()
        await holder.communicate()


async def ended(servers: list[psutil.Process]) -> None:
    """Return when all of them are gone, or zombies that only init can bury."""
    while any(_alive(server) for server in servers):  # noqa: ASYNC110 - not our children
        await asyncio.sleep(0.01)


def _alive(server: psutil.Process) -> bool:
    try:
        return server.is_running() and server.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_data_are_there_again_at_the_next_start(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path, UNSAFE) as server:
        await query(server.url, "CREATE TABLE kept AS SELECT 42 AS n", "SELECT 1")
    async with EmbeddedPostgres(tmp_path, UNSAFE) as server:
        assert await query(server.url, "SELECT n FROM kept") == 42
    assert server.pid == 0


async def test_the_cache_answers_and_goes(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path) as server:
        client = redis.Redis.from_url(server.url)
        assert await client.set("a", "b")
        await client.aclose()
        process = psutil.Process(server.pid)
    assert not _alive(process)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_folder_serves_one_process_at_a_time(kind: type[Server], tmp_path: Path) -> None:
    async with kind(tmp_path):
        with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
            await kind(tmp_path).open()
    async with kind(tmp_path):
        pass


@pytest.mark.parametrize("kind", KINDS)
async def test_a_folder_that_cannot_be_made_is_a_sentence(
    kind: type[Server], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written: Not a directory"):
        await kind(tmp_path / "file" / "data").open()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_long_path_gets_a_short_socket(kind: type[Server], tmp_path: Path) -> None:
    async with kind(tmp_path / ("long" * 30)) as server:
        assert len(server.url) < 107


@pytest.mark.parametrize("kind", KINDS)
async def test_ctrl_c_does_not_reach_the_servers(kind: type[Server], tmp_path: Path) -> None:
    async with kind(tmp_path) as server:
        assert os.getsid(server.pid) != os.getsid(0)


async def test_a_folder_of_something_else_is_a_sentence(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path, UNSAFE):
        pass
    (tmp_path / "data" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(ConfigError, match=r"does not start in .* incompatible"):
        await EmbeddedPostgres(tmp_path).open()


async def test_a_half_made_database_is_made_again(tmp_path: Path) -> None:
    half = tmp_path / "initdb" / "data"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres(tmp_path, UNSAFE) as server:
        assert await query(server.url, "SELECT 1") == 1


async def test_a_long_log_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(bytes(9 << 20))
    async with EmbeddedRedis(tmp_path):
        pass
    assert (tmp_path / "log").stat().st_size < 1 << 20
    assert (tmp_path / "log.1").stat().st_size == 9 << 20


async def test_a_running_server_can_be_found_from_outside(tmp_path: Path) -> None:
    assert running_url(tmp_path) is None
    async with EmbeddedPostgres(tmp_path, UNSAFE) as server:
        assert running_url(tmp_path) == server.url
    assert running_url(tmp_path) is None


async def test_servers_end_with_a_killed_process_and_start_again(tmp_path: Path) -> None:
    async with running(tmp_path) as (holder, servers):
        holder.kill()
        await ended(servers)
    async with EmbeddedPostgres(tmp_path / "postgres") as server:
        assert await query(server.url, "SELECT 1") == 1
    async with EmbeddedRedis(tmp_path / "redis"):
        pass


async def test_servers_that_outlive_a_killed_process_are_stopped_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as (holder, servers):
        for server in servers:
            server.send_signal(signal.SIGSTOP)
        holder.kill()
        await holder.wait()
        assert all(map(_alive, servers))
        async with EmbeddedPostgres(tmp_path / "postgres"), EmbeddedRedis(tmp_path / "redis"):
            assert not any(map(_alive, servers))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_an_ordinary_user_runs_them_as_himself(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    as_nobody = (sys.executable, launch.__file__, "9", str(NOBODY), str(NOBODY))
    async with running(folder, *as_nobody) as (holder, servers):
        assert {server.uids().real for server in servers} == {NOBODY}
        assert holder.stdin is not None
        holder.stdin.close()
        await holder.wait()
        await ended(servers)


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL refuses only root")
async def test_root_hands_the_servers_to_nobody(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path, UNSAFE) as server:
        assert psutil.Process(server.pid).uids().real == NOBODY
