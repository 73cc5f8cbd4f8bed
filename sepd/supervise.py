"""Restart what may recover, and tell systemd the truth.

`supervise` restarts a coroutine after a `TransientError` with jittered exponential back-off;
every other error ends the process. `Notifier` speaks the sd_notify protocol (sd_notify(3)); the
watchdog is fed by progress of the consumer, or because nothing waits for it, never by a timer
alone.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Awaitable, Callable

import structlog

from sepd.errors import TransientError

log = structlog.get_logger(__name__)

PROGRESS_NS = 1_000_000_000
SEND_S = 0.5


class Backoff:
    """Delays that double from `first_s` to `last_s`, each shortened at random by up to half.

    Args:
        rng: source of the jitter; seeded in simulation.
    """

    def __init__(self, rng: random.Random, first_s: float = 0.5, last_s: float = 30.0) -> None:
        self._rng = rng
        self._first_s = first_s
        self._last_s = last_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Delay before the next attempt, in seconds."""
        delay = self._next_s * (1 - self._rng.random() / 2)
        self._next_s = min(self._next_s * 2, self._last_s)
        return delay

    def reset(self) -> None:
        """Start again from the shortest delay."""
        self._next_s = self._first_s


def being_cancelled() -> bool:
    """Whether the running task has been told to end.

    A fault met on the way out takes the place of the cancellation: whoever catches faults and
    goes on must look here first, or the task never ends.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs
        return False
    return task is not None and task.cancelling() > 0


async def supervise(
    name: str,
    run: Callable[[], Awaitable[None]],
    backoff: Backoff,
    *,
    on_fault: Callable[[str, str], None],
    healthy_after_s: float = 60.0,
) -> None:
    """Run `run` until it returns; after a `TransientError` wait and run it again.

    The fault is reported by `on_fault(name, sentence)` once per failure, and cleared with an
    empty sentence when a later run has lasted `healthy_after_s` or has ended well.
    """
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        healthy = loop.call_later(healthy_after_s, on_fault, name, "")
        try:
            try:
                await run()
            finally:
                healthy.cancel()
        except TransientError as error:
            if being_cancelled():
                raise asyncio.CancelledError from error
            if loop.time() - started >= healthy_after_s:
                backoff.reset()
            delay = backoff.next_s()
            on_fault(name, str(error))
            log.warning("restarting", task=name, error=str(error), delay_s=round(delay, 2))
            await asyncio.sleep(delay)
        else:
            on_fault(name, "")
            return


class Notifier:
    """Messages to the service manager named by `$NOTIFY_SOCKET`; without one they go nowhere.

    Args:
        monotonic_ns: monotonic time; progress is told at most once in `PROGRESS_NS` of it.
    """

    def __init__(self, monotonic_ns: Callable[[], int], address: str | None = None) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        self._monotonic_ns = monotonic_ns
        self._told_ns: int | None = None

    def ready(self) -> None:
        """Start-up, which is recovery, is over."""
        self._send("READY=1", SEND_S)

    def stopping(self) -> None:
        """The daemon is draining."""
        self._send("STOPPING=1", SEND_S)

    def progress(self, text: str) -> None:
        """The consumer moved on: feed the watchdog and show one line in `systemctl status`."""
        now_ns = self._monotonic_ns()
        if self._told_ns is None or now_ns - self._told_ns >= PROGRESS_NS:
            self._told_ns = now_ns
            self._send(f"WATCHDOG=1\nSTATUS={text}", 0)

    def _send(self, message: str, timeout_s: float) -> None:
        """Send; a manager that does not read in time is not waited for."""
        if not self._address:
            return
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(timeout_s)
            try:
                sender.sendto(message.encode(), address)
            except OSError as error:
                log.warning("notify_failed", error=str(error))
