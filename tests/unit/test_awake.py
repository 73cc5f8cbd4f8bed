"""Awake, the loop polls and rehearses; the cores are held ready for as long, no longer."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

from sepd.awake import cores_ready, stay_awake


async def test_it_rehearses_again_and_again_until_cancelled() -> None:
    rehearsals, enough = [0], asyncio.Event()

    def rehearse() -> None:
        rehearsals[0] += 1
        if rehearsals[0] == 3:
            enough.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(stay_awake(rehearse))
        await enough.wait()
        task.cancel()
    assert task.cancelled()


async def test_events_are_dealt_with_between_rehearsals() -> None:
    loop, reached = asyncio.get_running_loop(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stay_awake(lambda: None))
        loop.call_later(0.01, reached.set)
        await reached.wait()
        task.cancel()


def test_the_kernel_is_asked_for_no_latency_at_all(tmp_path: Path) -> None:
    device = tmp_path / "latency"
    device.touch()
    with cores_ready(device) as ready:
        assert ready
        assert struct.unpack("i", device.read_bytes()) == (0,)


def test_where_we_may_not_ask_it_goes_on_without(tmp_path: Path) -> None:
    with cores_ready(tmp_path / "none") as ready:
        assert not ready
