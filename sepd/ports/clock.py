"""What a source of time does."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Source of time."""

    def now_ns(self) -> int:
        """UTC since 1970, ns."""
        ...

    def monotonic_ns(self) -> int:
        """Monotonic time, ns."""
        ...
