"""Only faults that may pass are retried, and systemd hears the truth."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from pathlib import Path

import pytest

from sepd.errors import ConfigError, TransientError
from sepd.supervise import Backoff, Notifier, supervise


class Flaky:
    """Fails as often as told, then ends well."""

    def __init__(self, failures: int) -> None:
        self.runs = 0
        self._failures = failures

    async def run(self) -> None:
        self.runs += 1
        if self.runs <= self._failures:
            raise TransientError(f"failure {self.runs}")


def quick() -> Backoff:
    return Backoff(random.Random(1), first_s=0.001, last_s=0.002)


async def test_a_transient_fault_is_retried_and_its_end_reported() -> None:
    faults: list[tuple[str, str]] = []
    flaky = Flaky(2)
    await supervise("prices", flaky.run, quick(), on_fault=lambda *f: faults.append(f))
    assert flaky.runs == 3
    assert faults == [("prices", "failure 1"), ("prices", "failure 2"), ("prices", "")]


async def test_a_fault_is_over_when_the_next_run_has_lasted_a_while() -> None:
    faults: list[tuple[str, str]] = []
    over = asyncio.Event()
    runs = iter((True, False))

    async def run() -> None:
        if next(runs):
            raise TransientError("broke")
        await asyncio.Event().wait()

    def note(name: str, sentence: str) -> None:
        faults.append((name, sentence))
        if not sentence:
            over.set()

    async with asyncio.TaskGroup() as group:
        work = supervise("prices", run, quick(), on_fault=note, healthy_after_s=0.01)
        task = group.create_task(work)
        await over.wait()
        task.cancel()
    assert faults == [("prices", "broke"), ("prices", "")]


async def test_any_other_error_ends_it() -> None:
    async def wrong() -> None:
        raise ConfigError("no such account")

    with pytest.raises(ConfigError):
        await supervise("prices", wrong, quick(), on_fault=lambda *_: None)


async def test_cancelling_ends_it_between_attempts() -> None:
    flaky = Flaky(10**6)
    failed = asyncio.Event()
    slow = Backoff(random.Random(1), first_s=3600)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(supervise("x", flaky.run, slow, on_fault=lambda *_: failed.set()))
        await failed.wait()
        task.cancel()
    assert flaky.runs == 1


def test_delays_double_up_to_a_bound_and_are_shortened_by_up_to_half() -> None:
    backoff = Backoff(random.Random(7), first_s=1, last_s=8)
    bounds = [1, 2, 4, 8, 8, 8]
    for bound in bounds:
        assert bound / 2 <= backoff.next_s() <= bound
    backoff.reset()
    assert backoff.next_s() <= 1


def test_the_service_manager_hears_ready_progress_and_stopping(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        notifier = Notifier(lambda: 0, address)
        notifier.ready()
        notifier.progress("42 events")
        notifier.progress("43 events, so soon that it is not told")
        notifier.stopping()
        heard = [manager.recv(200).decode() for _ in range(3)]
    assert heard == ["READY=1", "WATCHDOG=1\nSTATUS=42 events", "STOPPING=1"]


def test_without_a_service_manager_nothing_is_sent() -> None:
    Notifier(lambda: 0, "").ready()


def test_a_service_manager_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        seconds = itertools.count()
        notifier = Notifier(lambda: next(seconds) * 1_000_000_000, address)
        for number in range(2_000):
            notifier.progress(str(number))
        assert manager.recv(200).decode() == "WATCHDOG=1\nSTATUS=0"


async def test_a_fault_on_the_way_out_does_not_keep_a_task_alive() -> None:
    started = asyncio.Event()

    async def fails_when_cancelled() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise TransientError("the connection broke")

    async with asyncio.TaskGroup() as tasks:
        work = supervise("prices", fails_when_cancelled, quick(), on_fault=lambda *_: None)
        supervised = tasks.create_task(work)
        await started.wait()
        supervised.cancel()
    assert supervised.cancelled()
