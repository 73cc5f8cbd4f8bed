"""What the queue of events does for its consumer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sepd.domain.event import MarketEvent


class Events(Protocol):
    """The queue, from the consumer's side."""

    async def get_batch(self, maximum: int) -> Sequence[MarketEvent]:
        """The oldest events, at least one and at most `maximum`."""
        ...

    def processed(self, sequence: int) -> None:
        """All events up to `sequence` have been dealt with."""
        ...
