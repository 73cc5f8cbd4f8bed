"""A server process of our own: started tied to our life, and stopped with us.

The data folder is locked while it is ours, so that two daemons never share a server; whatever an
earlier daemon left running when it was killed is stopped before the next start.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from pathlib import Path

import psutil
from msgspec import Struct

from sepd.embedded import launch
from sepd.errors import ConfigError, TransientError

_SOCKET_PATH_MAX = 100
_STOP_S = 20.0
_LOG_BYTES = 8 << 20


class Account(Struct, frozen=True):
    """The operating system's user that a server runs as; uid −1 is our own."""

    uid: int = -1
    gid: int = -1


def server_account(folder: Path) -> Account:
    """Who runs the server: ourselves, or, since PostgreSQL refuses root, the folder's owner
    or `nobody` when we are root.
    """
    if os.geteuid() != 0:
        return Account()
    owner = folder.stat()
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise ConfigError(
            "The embedded servers do not run as root and there is no user 'nobody' to run them as. "
            "Run sepd as an ordinary user, or set DATABASE_URL and VALKEY_URL."
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


class DataFolder:
    """A folder that only we use while it is open.

    Raises (open):
        ConfigError: it cannot be written, or another process uses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock = -1

    def open(self) -> None:
        """Create the folder where it is missing and lock it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._take_lock()
        except OSError as error:
            self.close()
            raise ConfigError(
                f"The data folder {self.path} cannot be written: {error.strerror}. "
                "Choose another with data_dir, or give this user the right to write there."
            ) from None

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 20, 0).decode() or "unknown"
            self.close()
            raise ConfigError(
                f"The data folder {self.path} is in use by process {holder}. "
                "Stop that process, or choose another folder with data_dir."
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Let others use the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def in_use(self) -> bool:
        """Whether another process holds the folder."""
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False

    def subfolder(self, name: str, account: Account) -> Path:
        """A folder inside that only `account` may enter."""
        return _private(self.path / name, account)

    def socket_folder(self, name: str, account: Account) -> Path:
        """The folder of `socket_path`, made where missing."""
        return _private(self.socket_path(name), account)

    def socket_path(self, name: str) -> Path:
        """Where a server puts its socket: inside, or in a short path where that is too long."""
        inside = self.path / name
        if len(os.fsencode(inside)) <= _SOCKET_PATH_MAX - len("/.s.PGSQL.5432"):
            return inside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"sepd-{digest}-{name}"


def _private(folder: Path, account: Account) -> Path:
    uid = os.geteuid() if account.uid < 0 else account.uid
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != uid:
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made ready for the embedded server: {error.strerror}. "
            "Choose another folder with data_dir."
        ) from None
    return folder


async def start(
    argv: Sequence[str], *, death: signal.Signals, account: Account, log: Path
) -> Process:
    """Start a server in a session of its own (Ctrl-C is ours alone), its output going to `log`.

    It gets `death` when the calling thread ends: call from one that lives as long as the process.
    """
    _rotate(log)
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", launch.__file__,
            str(int(death)), str(account.uid), str(account.gid), *argv,
            stdin=DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


async def stop(process: Process, gentle: signal.Signals, harsh: signal.Signals) -> None:
    """Stop our child and wait for it; `harsh` follows where `gentle` takes too long."""
    for step in (gentle, harsh, signal.SIGKILL):
        if process.returncode is not None:
            return
        process.send_signal(step)
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            continue


async def stop_leftover(pid_file: Path, program: str, gentle: signal.Signals) -> None:
    """End the server that an earlier, killed daemon left behind, if it still runs."""
    leftover = _leftover(pid_file, program)
    if leftover is None:
        return
    for step in (gentle, signal.SIGQUIT, signal.SIGKILL):
        try:
            leftover.send_signal(step)
            leftover.send_signal(signal.SIGCONT)  # a frozen one hears nothing else
            await asyncio.to_thread(leftover.wait, _STOP_S)
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired:
            continue
        return
    raise TransientError(f"Process {leftover.pid} holds {pid_file.parent} and does not end.")


def _leftover(pid_file: Path, program: str) -> psutil.Process | None:
    """The live process that `pid_file` names, if it is `program` and not a reused pid."""
    try:
        pid = int(pid_file.read_text("ascii").split()[0])
        process = psutil.Process(pid)
        alive = process.name().startswith(program) and process.status() != psutil.STATUS_ZOMBIE
        return process if alive else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def packaged(package: str) -> Path:
    """Folder of an installed package, found without running its code."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigError(f"The package {package} is missing: run scripts/setup again.")
    return Path(spec.origin).parent


def _rotate(log: Path) -> None:
    """Begin anew what has grown long; the log before it is kept."""
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))


def log_tail(log: Path, lines: int = 4) -> str:
    """Last lines of a server's log, on one line, for an error's sentence."""
    try:
        return " | ".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return "no log"


def empty_folder(folder: Path) -> None:
    """Remove `folder` and all that is in it, if it exists."""
    if folder.is_dir():
        shutil.rmtree(folder)
