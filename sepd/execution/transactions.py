"""The account's transactions, applied in order, each once, whichever way they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from sepd.domain.account import AccountEvent
from sepd.errors import TransientError
from sepd.execution.failpoints import failpoint
from sepd.execution.sequencer import Sequencer
from sepd.ports import Broker, Store

log = structlog.get_logger(__name__)
BATCH = 64
"""Events that go into the store together, at most."""


class Transactions:
    """Applies events to the store, then to memory by `booked`, in the order of their ids.

    Events that wait together go into the store together, all or none of them. A hole in the ids
    is given `grace_s` for the transaction stream to close it, then the broker is asked. What the
    store does not take is tried again until it does: nothing is skipped.
    `writing` is held while events are on their way into the store and memory.
    """

    def __init__(
        self,
        broker: Broker,
        store: Store,
        booked: Callable[[AccountEvent], None],
        *,
        applied: int,
        grace_s: float,
        retry_s: float,
    ) -> None:
        self.writing = asyncio.Lock()
        self._broker = broker
        self._store = store
        self._booked = booked
        self._events = Sequencer(applied)
        self._grace_s = grace_s
        self._retry_s = retry_s
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._moved = asyncio.Condition()

    @property
    def applied(self) -> int:
        """Newest transaction applied."""
        return self._events.applied

    @property
    def behind(self) -> bool:
        """Whether something is known to exist that has not been applied."""
        return self._events.behind

    def offer(self, events: Sequence[AccountEvent]) -> None:
        """Take events from wherever they came, in any order."""
        self._events.offer(events)
        self._wake.set()

    def note(self, transaction_id: int) -> None:
        """A transaction of this id exists."""
        self._events.note(transaction_id)
        self._wake.set()

    async def settle(self, condition: Callable[[], bool] = lambda: True) -> None:
        """Return when nothing known is left to apply and `condition` holds; holes are read at once.

        `condition` is looked at after every batch applied and after every `moved`.
        """
        self._hurry.set()
        self._wake.set()
        try:
            async with self._moved:
                await self._moved.wait_for(lambda: not self.behind and condition())
        finally:
            self._hurry.clear()

    async def moved(self) -> None:
        """Let those who wait in `settle` look again."""
        async with self._moved:
            self._moved.notify_all()

    async def run(self) -> None:
        """Apply until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._apply()
                if self.behind:
                    await self._close_hole()
            except TransientError as error:
                log.warning("transactions_behind", applied=self.applied, error=str(error))
                await asyncio.sleep(self._retry_s)
                self._wake.set()

    async def _apply(self) -> None:
        while events := self._events.ready(BATCH):
            failpoint("apply.before")
            async with self.writing:
                await self._store.apply_account_events(self._broker.account_id, events)
                failpoint("apply.stored")
                for event in events:
                    self._events.advance(event)
                    self._booked(event)
            failpoint("apply.booked")
            await self.moved()
            failpoint("apply.after")

    async def _close_hole(self) -> None:
        """Wait for the stream a moment, unless somebody waits for us; then ask the broker."""
        hole = self.applied
        until_s = asyncio.get_running_loop().time() + self._grace_s
        while self.applied == hole and not self._hurry.is_set() and await self._woken(until_s):
            await self._apply()
        if not self.behind or self.applied > hole:
            self._wake.set()
            return
        failpoint("catch_up.before")
        events = await self._broker.transactions_since(self.applied)
        failpoint("catch_up.after")
        if not events:
            raise TransientError(
                f"The broker has not yet shown the transactions after {self.applied}."
            )
        self._events.complete(events)
        self._wake.set()

    async def _woken(self, until_s: float) -> bool:
        """Whether anything comes before `until_s`, loop time."""
        self._wake.clear()
        try:
            async with asyncio.timeout_at(until_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True
