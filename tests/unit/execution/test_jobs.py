"""Jobs begin within the call that hands them over, never too many at a time, and end with `run`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sepd.execution.jobs import Jobs


class Work:
    """Jobs that last until they are released by name."""

    def __init__(self, most: int = 2) -> None:
        self.jobs = Jobs(self._carry, most)
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self._doors: dict[str, asyncio.Event] = {}

    async def _carry(self, job: str) -> None:
        self.begun.append(job)
        if job.startswith("bad"):
            raise RuntimeError(job)
        if not job.startswith("quick"):
            try:
                await self._doors.setdefault(job, asyncio.Event()).wait()
            except asyncio.CancelledError:
                self.cancelled.append(job)
                raise
        self.ended.append(job)

    def release(self, job: str) -> None:
        self._doors.setdefault(job, asyncio.Event()).set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.jobs.run())
            await turns()
            yield
            task.cancel()


async def turns() -> None:
    """Let everything that is ready have its turns."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_job_begins_within_the_call() -> None:
    work = Work()
    async with work.running():
        work.jobs.put("a")
        assert work.begun == ["a"]


async def test_no_more_than_the_most_are_under_way_and_the_rest_follow_in_order() -> None:
    work = Work()
    async with work.running():
        for name in "abcd":
            work.jobs.put(name)
        assert (work.begun, work.jobs.waiting) == (["a", "b"], 2)
        work.release("b")
        await turns()
        assert (work.begun, work.ended) == (["a", "b", "c"], ["b"])
        work.release("a")
        await turns()
        assert (work.begun, work.jobs.waiting) == (["a", "b", "c", "d"], 0)


async def test_what_was_handed_over_before_begins_with_run() -> None:
    work = Work()
    for number in range(2_000):  # deeper than a stack, were each to begin the next
        work.jobs.put(f"quick {number}")
    assert (work.begun, work.jobs.waiting) == ([], 2_000)
    async with work.running():
        assert len(work.ended) == 2_000


@pytest.mark.parametrize("waits", [False, True])
async def test_a_job_that_fails_ends_the_others_and_the_run(waits: bool) -> None:
    work, names = Work(most=3), ["a", "b"] if waits else ["a"]

    async def run() -> None:
        async with work.running():
            for name in [*names, "bad", "late"]:
                work.jobs.put(name)
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        await run()
    assert raised.group_contains(RuntimeError, match="bad")
    assert work.cancelled == names
    assert "late" not in work.begun


async def test_none_outlives_the_run() -> None:
    work = Work()
    async with work.running():
        work.jobs.put("a")
        work.jobs.put("b")
        work.jobs.put("c")
    assert sorted(work.cancelled) == ["a", "b"]
    work.jobs.put("d")
    assert (work.begun, work.jobs.waiting) == (["a", "b"], 2)
