"""An event loop whose time jumps to the next timer when no socket has anything to say.

Real sockets on the loopback device work in it: what is sent is there at once, so a second of
waiting costs nothing and means the same in every run.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

_IDLE_S = 0.05


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing but real events; time that would have been waited is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None:
            return super().select(_IDLE_S)
        self.now_s += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """A selector loop on virtual time that starts at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now_s


class LoopClock:
    """A `Clock` that reads the time of the running loop.

    Args:
        origin_ns: UTC at the loop's zero.
    """

    def __init__(self, origin_ns: int) -> None:
        self._origin_ns = origin_ns

    def now_ns(self) -> int:
        """UTC, ns."""
        return self._origin_ns + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        """Loop time, ns."""
        return round(asyncio.get_running_loop().time() * 1e9)


def run_virtually[T](main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
