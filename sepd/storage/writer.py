"""The batching writer: rows are queued by the consumer and written by COPY behind its back.

The queue is bounded: a full one makes the consumer wait, and nothing is ever dropped. While the
database is away the batch at hand is tried again and `fault` says why.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

import structlog

from sepd.errors import SepdError, TransientError
from sepd.storage.batch import Batch, BatchTables, Item
from sepd.storage.link import Link

log = structlog.get_logger(__name__)

_BATCH_ROWS = 2_048
_INTERVAL_S = 0.05
_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)


class Writer:
    """Queue of rows for ticks, market_data, signals and journal.

    Args:
        link: a connection of the writer's own.
        tables: writes a batch.
        queue_rows: bound of the queue.
    """

    def __init__(self, link: Link, tables: BatchTables, queue_rows: int) -> None:
        self._link = link
        self._tables = tables
        self._limit = queue_rows
        self._queue: deque[tuple[int, Item]] = deque()
        self._rows = 0
        self._accepted = 0
        self._written = 0
        self._batch: Batch | None = None
        self._number = 0
        self._lock = asyncio.Lock()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._fault = ""
        self._running = False

    @property
    def fault(self) -> str:
        """Why rows are not being written; empty while they are."""
        return self._fault

    @property
    def queued(self) -> int:
        """Rows that are not committed yet."""
        return self._rows

    async def open(self) -> None:
        """Connect and take an ingest id."""
        async with self._link as connection:
            await self._tables.start(connection)

    async def close(self, timeout_s: float) -> None:
        """Write what is queued and disconnect.

        Raises:
            TransientError: the database is away and rows are lost; the sentence says how many.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self.flush()
        except (TimeoutError, TransientError) as error:
            raise TransientError(
                f"{self._rows} rows could not be written before the end: "
                f"{self._fault or str(error) or f'no answer in {timeout_s:g} s.'}"
            ) from error
        finally:
            self._link.drop()

    async def put(self, item: Item, rows: int) -> None:
        """Queue `item`; waits only while the queue is full, and writes where nobody else does."""
        while self._rows and self._rows + rows > self._limit:
            if not self._running:
                await self.flush()
                continue
            self._room.clear()
            self._work.set()
            await self._room.wait()
        self.add(item, rows)

    def add(self, item: Item, rows: int) -> None:
        """Queue `item` at once, beyond the bound if need be: what nobody may wait for."""
        self._queue.append((rows, item))
        self._rows += rows
        self._accepted += 1
        if self._rows >= _BATCH_ROWS:
            self._work.set()

    async def run(self) -> None:
        """Write batches until cancelled; what is queued then stays for `close`."""
        self._running = True
        try:
            while True:
                await self._wait_for_work()
                await self.flush(retry=True)
        finally:
            self._running = False
            self._room.set()  # whoever waits for room looks again, and writes

    async def _wait_for_work(self) -> None:
        """Return when a batch is full, or after the interval."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_INTERVAL_S):
                await self._work.wait()
        self._work.clear()

    async def flush(self, *, retry: bool = False) -> None:
        """Return when all that is queued at the call is committed.

        Args:
            retry: go on after a `TransientError` for as long as it takes.
        """
        target = self._accepted
        while self._written < target:
            async with self._lock:
                if self._written < target:
                    await (self._insist() if retry else self._write())

    async def _insist(self) -> None:
        for delay in _delays():
            try:
                await self._write()
            except TransientError as error:
                if delay == _RETRY_S[0]:
                    log.warning("store_away", reason=str(error), queued=self._rows)
                await asyncio.sleep(delay)
            else:
                return

    async def _write(self) -> None:
        """Commit the batch at hand; it stays the same until that has happened."""
        self._batch = batch = self._batch or self._take()
        try:
            async with self._link as connection:
                await self._tables.write(connection, batch)
        except SepdError as error:
            self._fault = str(error)
            raise
        if self._fault:
            log.info("store_back", queued=self._rows)
        self._fault = ""
        self._batch = None
        self._rows -= batch.rows
        self._written += len(batch.items)
        self._room.set()

    def _take(self) -> Batch:
        items: list[Item] = []
        rows = 0
        while self._queue and (not items or rows + self._queue[0][0] <= _BATCH_ROWS):
            count, item = self._queue.popleft()
            items.append(item)
            rows += count
        self._number += 1
        return Batch(self._number, tuple(items), rows)


def _delays() -> Iterator[float]:
    yield from _RETRY_S
    while True:
        yield _RETRY_S[-1]
