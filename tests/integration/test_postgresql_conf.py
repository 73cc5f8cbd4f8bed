"""The configuration that is shipped for the droplet is one that PostgreSQL takes."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from sepd.resources import data_dir
from sepd.storage.embedded import EmbeddedPostgres


def read_conf(file: Path) -> dict[str, str]:
    """Settings of a postgresql.conf, in PostgreSQL's spelling."""
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line)
    return {name.strip(): value.strip().strip("'") for name, _, value in pairs}


async def test_the_server_starts_with_the_droplets_configuration(tmp_path: Path) -> None:
    conf = read_conf(data_dir("config") / "postgresql.conf.d" / "sepd-droplet.conf")
    async with EmbeddedPostgres(tmp_path, conf) as server:
        connection = await asyncpg.connect(server.url)
        shown = {name: await connection.fetchval(f"SHOW {name}") for name in conf}
        await connection.close()
    special = {name for name in conf if name.startswith("tcp_")} | {"wal_compression"}
    assert {n: v for n, v in shown.items() if n not in special} == {
        n: v for n, v in conf.items() if n not in special
    }
    assert (conf["shared_buffers"], conf["effective_cache_size"]) == ("2GB", "6GB")
    assert (conf["fsync"], conf["synchronous_commit"]) == ("on", "on")
