"""Real servers for tests: one PostgreSQL and one Redis per test process, all data thrown away.

A test asks for `database_url` (migrated, its own, cloned from a template), `empty_database_url`
or `valkey_url` (flushed). Load with `pytest_plugins` or import the fixtures in a conftest.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
import redis.asyncio as redis

from sepd.cache.embedded import EmbeddedRedis
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.migrate import migrate

UNSAFE = {"fsync": "off", "full_page_writes": "off", "max_connections": "100"}
_NUMBERS = itertools.count(1)
TEMPLATE = "template_sepd"


async def execute(server: EmbeddedPostgres, statement: str) -> None:
    """Run a statement that concerns the whole server."""
    connection = await asyncpg.connect(server.url_of("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL server that forgets everything at a power cut."""
    folder = tmp_path_factory.mktemp("pg")
    async with EmbeddedPostgres(folder, UNSAFE) as server:
        await execute(server, f"CREATE DATABASE {TEMPLATE}")
        await migrate(server.url_of(TEMPLATE))
        yield server


@pytest_asyncio.fixture
async def database_url(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """A migrated, empty database of the test's own."""
    name = f"test_{next(_NUMBERS)}"
    await execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield postgres_server.url_of(name)
    await execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def empty_database_url(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database of the test's own without any table."""
    name = f"empty_{next(_NUMBERS)}"
    await execute(postgres_server, f"CREATE DATABASE {name}")
    yield postgres_server.url_of(name)
    await execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedRedis]:
    """A Redis server that keeps nothing."""
    async with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest_asyncio.fixture
async def valkey_url(redis_server: EmbeddedRedis) -> str:
    """The Redis server, emptied."""
    client = redis.Redis.from_url(redis_server.url)
    await client.flushall()
    await client.aclose()
    return redis_server.url
