"""What gives one process alone the right to send orders."""

from __future__ import annotations

from typing import Protocol

from sepd.domain.order import OrderIntent


class Leader(Protocol):
    """The right to send orders of an account, which one process has at a time."""

    async def acquire(self) -> int:
        """Stand by until it is ours; the epoch of our leadership."""
        ...

    async def run(self) -> None:
        """Check it again and again; raises when it is lost."""
        ...

    async def release(self) -> None:
        """Give it back; may be called twice."""
        ...

    def fence(self, intent: OrderIntent) -> str:
        """Why `intent` may not be sent now, or an empty text."""
        ...
