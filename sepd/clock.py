"""The only place that reads a clock."""

from __future__ import annotations

import time

NS = 1_000_000_000


class SystemClock:
    """UTC and monotonic time of this machine, both in nanoseconds."""

    def now_ns(self) -> int:
        """UTC since 1970, ns."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Monotonic time, ns; its zero means nothing."""
        return time.monotonic_ns()


class EventClock:
    """A clock that stands at the newest broker time seen: for tapes, replay and tests.

    Decisions made on it depend on the recorded events alone, never on the machine's speed.
    """

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """UTC of the newest event, ns."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """The same instant: between events no time passes."""
        return self._now_ns

    def advance(self, now_ns: int) -> None:
        """Move to `now_ns`; an earlier instant is ignored."""
        self._now_ns = max(self._now_ns, now_ns)
