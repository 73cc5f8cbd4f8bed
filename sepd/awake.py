"""Staying awake: latency bought with a processor core.

A core with nothing to do is halted, a halted core of a virtual machine is lent to somebody else,
and whatever comes next pays for waking it and for caches that have gone cold. Awake, the event
loop keeps one core and polls there instead of sleeping, what an order needs is rehearsed, and the
kernel is asked to keep every core of the machine ready (power management's quality of service). A
disk falls asleep as well, or its host does: it is asked for a page again and again. Garbage is
collected while no order is on its way.
"""

from __future__ import annotations

import asyncio
import os
import struct
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from sepd.errors import ConfigError, TransientError
from sepd.heap import walk_early

log = structlog.get_logger(__name__)
QUALITY_OF_SERVICE = Path("/dev/cpu_dma_latency")
DECISION_S = 0.0005  # a decision four times as old runs a quarter slower: docs/performance.md
COMMIT_S = 0.002  # one that is rehearsed holds the connection of orders
DISK_S = 0.002
RETRY_S = 1.0
PAGE = 4_096


async def stay_awake(
    cpu: int,
    decide: Callable[[], bool],
    commit: Callable[[], Awaitable[None]],
    folder: Path,
) -> None:
    """Keep to `cpu` and poll until cancelled, and rehearse to `decide` and `commit` meanwhile.

    Args:
        decide: answers whether it could rehearse; it cannot while an order is on its way.
            Called every 0.5 ms, `commit` every 2 ms.
        folder: on the disk that is to stay awake.

    Raises:
        ConfigError: the process may not run there, or `folder` cannot be written.
    """
    with keep_to(cpu), cores_ready(), disk_ready(folder) as read:
        async with asyncio.TaskGroup() as group:
            group.create_task(_poll(decide, read))
            group.create_task(keep_warm(commit))


async def _poll(rehearse: Callable[[], bool], read: Callable[[], None]) -> None:
    """Let the loop never sleep; between its turns `rehearse`, and where that did, do beforehand
    what would hold up an order: walk the heap, and `read` the disk.
    """
    due_s = read_due_s = time.monotonic()  # the time of uvloop's loop has steps of 1 ms
    while True:
        now_s = time.monotonic()
        if now_s >= due_s:
            if rehearse():
                walk_early()
                if now_s >= read_due_s:
                    read()
                    read_due_s = now_s + DISK_S
            due_s = time.monotonic() + DECISION_S
        await asyncio.sleep(0)


async def keep_warm(rehearse: Callable[[], Awaitable[None]]) -> None:
    """Await `rehearse` every two milliseconds until cancelled; once a second while it fails."""
    while True:
        try:
            await rehearse()
        except TransientError:  # whoever needs the store will meet the same, and say so
            await asyncio.sleep(RETRY_S)
        await asyncio.sleep(COMMIT_S)


@contextmanager
def keep_to(cpu: int) -> Iterator[None]:
    """For as long as the context lasts, this thread runs on `cpu` alone."""
    before = os.sched_getaffinity(0)
    if cpu not in before:
        allowed = ", ".join(map(str, sorted(before)))
        raise ConfigError(f"process.awake_on is {cpu}, but sepd may run on {allowed} only.")
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def cores_ready(device: Path = QUALITY_OF_SERVICE) -> Iterator[bool]:
    """For as long as the context lasts, the kernel lets no core sleep so deeply that waking it
    takes time; False where we may not ask for that (root may).
    """
    try:
        held = device.open("r+b", buffering=0)
    except OSError as error:
        log.warning("cores_may_sleep", reason=f"{device} cannot be opened: {error.strerror}.")
        yield False
        return
    with held:  # the request ends when the file is closed
        held.write(struct.pack("i", 0))
        yield True


@contextmanager
def disk_ready(folder: Path) -> Iterator[Callable[[], None]]:
    """Gives a function that has the kernel fetch a page from the disk of `folder`, and does not
    wait for it: it forgets the page of a nameless file, and announces that the page is wanted.

    Raises:
        ConfigError: `folder` cannot be written.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile(dir=folder, buffering=0))
            file.write(bytes(PAGE))
            os.fsync(file)  # what is not on the disk cannot be forgotten
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written: {error.strerror}.") from None
        number = file.fileno()

        def read() -> None:
            os.posix_fadvise(number, 0, PAGE, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(number, 0, PAGE, os.POSIX_FADV_WILLNEED)

        yield read
