"""An event loop whose time passes only when everybody waits: an hour takes no time at all."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.SelectSelector):
    """Never waits: it moves the loop's time on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("Everybody waits, and nothing will ever happen.")
            self.now_s += max(timeout, 0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose `time` starts at 0 and jumps to the next timer."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._virtual.now_s


def run_virtually[Result](work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` to its end on a loop of its own."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


class LoopClock:
    """A clock that follows the running loop, from `start_ns`."""

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns

    def now_ns(self) -> int:
        """UTC, ns."""
        return self._start_ns + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        """Since the loop was made, ns."""
        return round(asyncio.get_running_loop().time() * 1e9)
