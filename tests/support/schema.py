"""The schema of a database as text, by the pg_dump of the wheel.

`python -m tests.support.schema` writes migrations/schema.sql anew.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

from sepd.resources import data_dir
from sepd.storage.embedded import EmbeddedPostgres, client_program
from sepd.storage.migrate import migrate

_NOISE = re.compile(r"^(--.*|\\.*|SET .*|SELECT pg_catalog\.set_config.*)?\n", re.MULTILINE)


async def dump_schema(url: str) -> str:
    """Statements that make the schema again, without comments and session settings."""
    process = await asyncio.create_subprocess_exec(
        client_program("pg_dump"), "--schema-only", "--no-owner", "--dbname", url, stdout=PIPE
    )
    text, _ = await process.communicate()
    assert process.returncode == 0
    return _NOISE.sub("", text.decode())


async def _write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedPostgres(Path(folder)) as server:
            await migrate(server.url)
            (data_dir("migrations") / "schema.sql").write_text(await dump_schema(server.url))


if __name__ == "__main__":
    asyncio.run(_write())
