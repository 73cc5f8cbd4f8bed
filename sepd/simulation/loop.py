"""An event loop on virtual time: nothing waits, and the same inputs run in the same order.

Time stands still while anything is ready and then jumps to the next timer. Ready callbacks run
in the order in which they were scheduled, timers of one instant in the order in which they were
set. Tasks hash by their number, not their address, so sets of tasks have one order.

Callbacks belong to the process in whose context they were scheduled (`OWNER`). A frozen process
runs nothing until it is thawed, as after SIGSTOP.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any

OWNER: ContextVar[str] = ContextVar("owner", default="")
"""Name of the simulated process that runs."""


class NumberedTask[T](asyncio.Task[T]):
    """A task whose hash is its number."""

    def __init__(self, number: int, *given: Any, **options: Any) -> None:
        self.number = number
        super().__init__(*given, **options)

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module.

    Attributes:
        on_step: called after each round of callbacks.
        steps: rounds so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_step: Callable[[], None] = _nothing
        self.steps = 0
        self._now_s = 0.0
        self._due: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = 0
        self._frozen: set[str] = set()
        self._held: list[asyncio.Handle] = []
        self.set_task_factory(self._numbered)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def freeze(self, owner: str) -> None:
        """Run nothing of `owner` until `thaw`."""
        self._frozen.add(owner)

    def thaw(self, owner: str) -> None:
        """Let `owner` run again; what came due meanwhile is due now."""
        self._frozen.discard(owner)
        held, self._held = self._held, []
        self._due.extend(held)

    def call_soon[*Ts](
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run `callback` after everything that is ready now."""
        handle = asyncio.Handle(callback, args, self, context)
        self._due.append(handle)
        return handle

    def call_soon_threadsafe[*Ts](
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """There are no threads here."""
        return self.call_soon(callback, *args, context=context)

    def call_later[*Ts](
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run `callback` in `delay` seconds."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at[*Ts](
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run `callback` at `when`."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, handle))
        return handle

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is no executor."""

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are dropped when their time comes."""

    def _numbered[T](
        self,
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, T] | Generator[Any, None, T],
        **options: Any,
    ) -> asyncio.Task[T]:
        self._numbers += 1
        return NumberedTask(self._numbers, work, loop=loop, **options)

    def _run_once(self) -> None:
        """One round: move time if nobody is ready, then run what is."""
        timers, due = self._timers, self._due
        if not due:
            while timers and timers[0][2].cancelled():
                heapq.heappop(timers)
            if not timers:
                raise RuntimeError("Everybody waits, and nothing will ever happen.")
            self._now_s = max(self._now_s, timers[0][0])
        while timers and timers[0][0] <= self._now_s:
            due.append(heapq.heappop(timers)[2])
        if self._frozen:
            self._hold_back()
        for _ in range(len(due)):
            handle = due.popleft()
            if not handle.cancelled():
                handle._run()
        self.steps += 1
        self.on_step()

    def _hold_back(self) -> None:
        for _ in range(len(self._due)):
            handle = self._due.popleft()
            context: Context = handle._context  # type: ignore[attr-defined]
            frozen = context.get(OWNER, "") in self._frozen
            (self._held if frozen else self._due).append(handle)

    def _process_events(self, event_list: object) -> None:
        """There is no selector."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector."""


class LoopClock:
    """A `Clock` on loop time.

    Attributes:
        skew_ns: how far a process's UTC is off, since `skewed_s`.
    """

    def __init__(self, loop: VirtualLoop, origin_ns: int) -> None:
        self.skew_ns = 0
        self.skewed_s = 0.0
        self._loop = loop
        self._origin_ns = origin_ns

    def skew(self, skew_ns: int) -> None:
        """Step UTC against the monotonic clock."""
        self.skew_ns = skew_ns
        self.skewed_s = self._loop.time()

    def now_ns(self) -> int:
        """UTC since 1970 as this clock tells it, ns."""
        return self._origin_ns + self.monotonic_ns() + self.skew_ns

    def monotonic_ns(self) -> int:
        """Loop time, ns."""
        return round(self._loop.time() * 1e9)


def _nothing() -> None:
    """Nobody looks."""
