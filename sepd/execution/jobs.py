"""Jobs that are carried out at the same time, at most so many; the others wait their turn.

A job that finds room begins within the call that hands it over: its first I/O is under way when
the call returns, and no turn of the event loop lies between a decision and its commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine


class Jobs:
    """Carries jobs out while `run` runs; what is handed over before waits for it.

    Args:
        carry: carries one job out, named by an id.
        most: jobs under way at the same time.
    """

    def __init__(self, carry: Callable[[str], Coroutine[None, None, None]], most: int) -> None:
        self._carry = carry
        self._most = most
        self._waiting: deque[str] = deque()
        self._tasks: dict[asyncio.Task[None], None] = {}  # a set would cancel them in any order
        self._failure: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return len(self._waiting)

    @property
    def _running(self) -> bool:
        return self._failure is not None and not self._failure.done()

    def put(self, job: str) -> None:
        """Begin `job`, or let it wait."""
        self._waiting.append(job)
        self._begin()

    async def run(self) -> None:
        """Until cancelled, or until a job fails, whose exception is raised; none outlives it."""
        self._failure = asyncio.get_running_loop().create_future()
        try:
            self._begin()
            await self._failure
        finally:
            self._failure = None
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self) -> None:
        while self._running and self._waiting and len(self._tasks) < self._most:
            work = self._carry(self._waiting.popleft())
            task = asyncio.eager_task_factory(asyncio.get_running_loop(), work)
            self._tasks[task] = None
            if task.done():
                self._note(task)
            else:
                task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._note(task)
        self._begin()

    def _note(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)
