"""Account events in the order of their transaction ids, each once, whichever way they came."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from sepd.domain.account import AccountEvent


class Sequencer:
    """Holds events back until everything before them has been applied.

    The broker's ids count up by one, so a hole is something not yet heard of: it is closed by
    the stream, or by a complete read (`complete`), after which a hole is known to be empty.
    `applied` is the newest id dealt with, `known` the newest that exists.
    """

    def __init__(self, applied: int) -> None:
        self.applied = applied
        self.known = applied
        self._complete_to = applied
        self._held: dict[int, AccountEvent] = {}
        self._ids: list[int] = []

    @property
    def behind(self) -> bool:
        """Whether something exists that has not been applied."""
        return self.applied < self.known

    def note(self, transaction_id: int) -> None:
        """Something of this id exists."""
        self.known = max(self.known, transaction_id)

    def offer(self, events: Sequence[AccountEvent]) -> None:
        """Take events from anywhere; those applied or held already are dropped."""
        for event in events:
            number = event.transaction_id
            self.note(number)
            if number > self.applied and number not in self._held:
                self._held[number] = event
                heapq.heappush(self._ids, number)

    def complete(self, events: Sequence[AccountEvent]) -> None:
        """Take a complete and ordered read of everything after `applied`."""
        self.offer(events)
        if events:
            self._complete_to = max(self._complete_to, events[-1].transaction_id)

    def next(self) -> AccountEvent | None:
        """The event to apply now; None where there is none, or a hole before it."""
        if not self._ids:
            return None
        number = self._ids[0]
        if number == self.applied + 1 or number <= self._complete_to:
            return self._held[number]
        return None

    def advance(self, event: AccountEvent) -> None:
        """`event`, the one that `next` gave, has been applied."""
        heapq.heappop(self._ids)
        del self._held[event.transaction_id]
        self.applied = event.transaction_id
