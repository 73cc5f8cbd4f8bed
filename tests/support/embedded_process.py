"""Opens both embedded servers under a folder, says so, and waits to be killed.

Run by path: `embedded_process.py FOLDER`. The first line is `postgres_pid redis_pid`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sepd.cache.embedded import EmbeddedRedis
from sepd.storage.embedded import EmbeddedPostgres


async def main(folder: Path) -> None:
    """Serve until standard input ends."""
    async with (
        EmbeddedPostgres(folder / "postgres") as postgres,
        EmbeddedRedis(folder / "redis") as cache,
    ):
        print(postgres.pid, cache.pid, flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
