"""Awake, the loop polls and rehearses; the cores are held ready for as long, no longer."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from sepd.awake import PAGE, cores_ready, disk_ready, keep_to, keep_warm, stay_awake
from sepd.errors import ConfigError, TransientError
from sepd.heap import THRESHOLDS
from tests.support.virtual_time import run_virtually

ALLOWED = os.sched_getaffinity(0)
CPU = min(ALLOWED)


async def nothing() -> None:
    """Nothing to commit."""


async def test_it_rehearses_again_and_again_until_cancelled(tmp_path: Path) -> None:
    rehearsals, enough = [0], asyncio.Event()

    def rehearse() -> bool:
        rehearsals[0] += 1
        if rehearsals[0] == 3:
            enough.set()
        return True

    async with asyncio.TaskGroup() as group:
        task = group.create_task(stay_awake(CPU, rehearse, nothing, tmp_path))
        await enough.wait()
        assert os.sched_getaffinity(0) == {CPU}
        task.cancel()
    assert task.cancelled()
    assert os.sched_getaffinity(0) == ALLOWED


def test_a_store_that_is_away_is_rehearsed_with_once_a_second() -> None:
    at_s: list[float] = []

    async def rehearse() -> None:
        at_s.append(asyncio.get_running_loop().time())
        if len(at_s) in (2, 3):
            raise TransientError("away")

    async def watch() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(2.01):
                await keep_warm(rehearse)

    run_virtually(watch())
    assert at_s == pytest.approx([0, 0.002, 1.004, 2.006, 2.008], abs=1e-6)


async def test_garbage_is_collected_while_no_order_is_on_its_way(tmp_path: Path) -> None:
    walked = asyncio.Event()

    def litter() -> bool:
        """What many orders leave."""
        kept.extend([[]] for _ in range(THRESHOLDS[0] // 4))
        return True

    def note(phase: str, _: Mapping[str, int]) -> None:
        walked.set()

    kept: list[object] = []
    before = gc.get_threshold()
    gc.set_threshold(1_000_000)
    gc.callbacks.append(note)
    try:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            task = group.create_task(stay_awake(CPU, litter, nothing, tmp_path))
            await walked.wait()
            task.cancel()
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*before)


async def test_events_are_dealt_with_between_rehearsals(tmp_path: Path) -> None:
    loop, reached = asyncio.get_running_loop(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stay_awake(CPU, lambda: True, nothing, tmp_path))
        loop.call_later(0.01, reached.set)
        await reached.wait()
        task.cancel()


def test_a_core_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ConfigError, match="awake_on is 9999, but sepd may run on"), keep_to(9999):
        pass


def test_the_kernel_is_asked_for_no_latency_at_all(tmp_path: Path) -> None:
    device = tmp_path / "latency"
    device.touch()
    with cores_ready(device) as ready:
        assert ready
        assert struct.unpack("i", device.read_bytes()) == (0,)


def test_where_we_may_not_ask_it_goes_on_without(tmp_path: Path) -> None:
    with cores_ready(tmp_path / "none") as ready:
        assert not ready


def test_each_reading_fetches_the_page_from_the_disk(tmp_path: Path) -> None:
    if _file_system(tmp_path) == "tmpfs":
        pytest.skip("the folder is in memory")
    with disk_ready(tmp_path) as read:
        for _ in range(3):  # a page that is still on its way cannot be forgotten: ask again
            before = _fetched()
            while _fetched() == before:
                read()
            assert _fetched() == before + PAGE
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"), disk_ready(tmp_path / "none"):
        pass


def test_a_disk_without_room_is_refused(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # as if no byte could be written
    try:
        with pytest.raises(ConfigError, match="cannot be written"), disk_ready(tmp_path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _fetched() -> int:
    """Bytes that this process has had read from disks."""
    lines = Path("/proc/self/io").read_text("ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["read_bytes"])


def _file_system(folder: Path) -> str:
    """Of the mount that holds `folder`."""
    mounts = [part for part in psutil.disk_partitions(all=True) if part.mountpoint]
    holding = [part for part in mounts if folder.is_relative_to(part.mountpoint)]
    return max(holding, key=lambda part: len(part.mountpoint)).fstype
