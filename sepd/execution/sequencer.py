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

    def ready(self, maximum: int) -> list[AccountEvent]:
        """The events to apply now, in order and without a hole, at most `maximum`."""
        found: list[AccountEvent] = []
        last = self.applied
        for number in heapq.nsmallest(maximum, self._ids):
            if number > last + 1 and number > self._complete_to:
                break
            found.append(self._held[number])
            last = number
        return found

    def advance(self, event: AccountEvent) -> None:
        """`event`, the oldest of those that `ready` gave, has been applied."""
        self.applied = event.transaction_id
        while self._ids and self._ids[0] <= self.applied:
            del self._held[heapq.heappop(self._ids)]
