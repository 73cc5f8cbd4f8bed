"""Staying awake: latency bought with a processor core.

A core with nothing to do is halted, a halted core of a virtual machine is lent to somebody else,
and whatever comes next pays for waking it and for caches that have gone cold. Awake, the event
loop polls instead of sleeping, what an order needs is rehearsed, and the kernel is asked to keep
every core of the machine ready (power management's quality of service).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from sepd.errors import TransientError

log = structlog.get_logger(__name__)
QUALITY_OF_SERVICE = Path("/dev/cpu_dma_latency")
REHEARSAL_S = 0.002
RETRY_S = 1.0


async def stay_awake(rehearse: Callable[[], None]) -> None:
    """Poll until cancelled; between events, every two milliseconds, call `rehearse`."""
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    with cores_ready():
        while True:
            if loop.time() >= due_s:
                rehearse()
                due_s = loop.time() + REHEARSAL_S
            await asyncio.sleep(0)


async def keep_warm(rehearse: Callable[[], Awaitable[None]]) -> None:
    """Await `rehearse` every two milliseconds until cancelled; once a second while it fails."""
    while True:
        try:
            await rehearse()
        except TransientError:  # whoever needs the store will meet the same, and say so
            await asyncio.sleep(RETRY_S)
        await asyncio.sleep(REHEARSAL_S)


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
