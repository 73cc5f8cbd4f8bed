"""The account's transactions, complete and in order, on the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from sepd.domain.account import AccountEvent, TransactionHeartbeat
from sepd.errors import TransientError
from sepd.feed.closing import closing
from sepd.feed.queue import EventQueue
from sepd.feed.watermark import Watermark
from sepd.ports import Broker


class TransactionFeed:
    """Puts every account event after `last_id` on the queue once, in the order of ids.

    The stream is fast but has no memory; the record has. Whatever the stream may have missed
    (everything before it was connected, a hole in the ids, a heartbeat that names a newer id)
    is read from the record before anything newer is put.

    Args:
        last_id: the newest transaction that has been applied.
        wait_s: how long `wait_for` waits for a transaction that must come.
    """

    def __init__(
        self, broker: Broker, queue: EventQueue, last_id: int, *, wait_s: float = 30.0
    ) -> None:
        self._broker = broker
        self._queue = queue
        self._put = Watermark(last_id)
        self._wait_s = wait_s
        self.connected = False
        self.recovered = 0
        self.duplicates = 0

    @property
    def last_id(self) -> int:
        """The newest transaction that is on the queue."""
        return self._put.value

    async def wait_for(self, transaction_id: int) -> None:
        """Return when all transactions up to `transaction_id` are on the queue.

        Raises:
            TransientError: they did not come in `wait_s`.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                await self._put.reach(transaction_id)
        except TimeoutError:
            raise TransientError(
                f"Transaction {transaction_id} did not arrive in {self._wait_s:g} s."
            ) from None

    async def run(self) -> None:
        """Follow the account until the stream breaks.

        Raises:
            TransientError: the stream broke or the record cannot be read; run again.
        """
        await self._recover()
        stream = self._broker.stream_transactions()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(closing, stream)
            stack.callback(self._disconnected)
            async for events in stream:
                if not self.connected:
                    await self._recover()
                    self.connected = True
                await self._take(events)

    async def _take(self, events: Sequence[AccountEvent | TransactionHeartbeat]) -> None:
        for event in events:
            if isinstance(event, TransactionHeartbeat):
                if event.last_transaction_id > self.last_id:
                    await self._recover()
                await self._queue.put_many((event,))
            elif event.transaction_id == self.last_id + 1:
                await self._append((event,))
            elif event.transaction_id > self.last_id:
                await self._recover()
            else:
                self.duplicates += 1

    async def _recover(self) -> None:
        """Read what the record holds beyond `last_id`."""
        missed = await self._broker.transactions_since(self.last_id)
        fresh = [event for event in missed if event.transaction_id > self.last_id]
        self.recovered += len(fresh)
        await self._append(fresh)

    async def _append(self, events: Sequence[AccountEvent]) -> None:
        if events:
            await self._queue.put_many(events)
            self._put.advance(events[-1].transaction_id)

    def _disconnected(self) -> None:
        self.connected = False
