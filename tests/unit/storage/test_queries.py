"""Every named statement is one that the migrated database understands."""

from __future__ import annotations

import asyncpg
import pytest

from sepd.storage.queries import QUERIES
from tests.conftest import ROOT

NEEDS_STAGING = {"merge_candles"}


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_every_query_can_be_prepared(name: str, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            if name in NEEDS_STAGING:
                await connection.execute(QUERIES["stage_candles"])
            await connection.prepare(QUERIES[name])
    finally:
        await connection.close()


def test_every_query_is_used() -> None:
    sources = "".join(file.read_text("utf-8") for file in (ROOT / "sepd").rglob("*.py"))
    assert [name for name in QUERIES if f'"{name}"' not in sources] == []
