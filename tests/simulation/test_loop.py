"""Virtual time: its jumps, its order, frozen processes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any

import pytest

from sepd.simulation.loop import OWNER, LoopClock, VirtualLoop

S = 1_000_000_000


def run[T](loop: VirtualLoop, work: Coroutine[Any, Any, T]) -> T:
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def test_time_jumps_to_the_next_timer_and_stands_still_otherwise() -> None:
    loop, seen = VirtualLoop(), []

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((seconds, loop.time()))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for seconds in (86_400.0, 1.0, 3_600.0):
                group.create_task(wait(seconds))

    run(loop, main())
    assert seen == [(1.0, 1.0), (3_600.0, 3_600.0), (86_400.0, 86_400.0)]


def test_timers_of_one_instant_run_in_the_order_in_which_they_were_set() -> None:
    loop = VirtualLoop()
    seen: list[int] = []

    async def main() -> None:
        for number in range(20):
            loop.call_at(5.0, seen.append, number)
        await asyncio.sleep(6)

    run(loop, main())
    assert seen == list(range(20))


def test_waiting_for_nothing_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        run(VirtualLoop(), asyncio.Event().wait())


def test_a_frozen_process_does_nothing_and_then_everything_that_came_due() -> None:
    loop, ticks = VirtualLoop(), []

    async def tick() -> None:
        while True:
            await asyncio.sleep(1)
            ticks.append(loop.time())

    async def main() -> None:
        context = copy_context()
        context.run(OWNER.set, "frozen")
        task = loop.create_task(tick(), context=context)
        await asyncio.sleep(2.5)
        loop.freeze("frozen")
        await asyncio.sleep(10)
        assert ticks == [1, 2]
        loop.thaw("frozen")
        await asyncio.sleep(1.2)
        task.cancel()

    run(loop, main())
    assert ticks == [1, 2, 12.5, 13.5]


def test_a_skewed_clock_is_off_and_its_durations_are_not() -> None:
    loop = VirtualLoop()
    clock = LoopClock(loop, 1_000 * S)
    clock.skew(-3 * S)

    async def main() -> None:
        await asyncio.sleep(2)

    run(loop, main())
    assert (clock.now_ns(), clock.monotonic_ns()) == (999 * S, 2 * S)


def test_sets_of_tasks_have_one_order() -> None:
    async def orders() -> list[str]:
        tasks = {asyncio.get_running_loop().create_task(asyncio.sleep(0)) for _ in range(50)}
        await asyncio.wait(tasks)
        return [task.get_name().rpartition("-")[0] and str(hash(task)) for task in tasks]

    assert run(VirtualLoop(), orders()) == run(VirtualLoop(), orders())
