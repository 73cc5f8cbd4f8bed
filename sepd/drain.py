"""The end of a node: what has arrived is dealt with, what was sent is settled, all is written.

Each step has its time. What it does not get done is said, and left to the next start.
"""

from __future__ import annotations

import asyncio

import structlog

from sepd.errors import TransientError
from sepd.execution.executor import Executor
from sepd.feed import EventQueue
from sepd.pipeline import Pipeline
from sepd.ports import Store

log = structlog.get_logger(__name__)

SETTLE_S = 11.0  # longer than a request to the broker lasts
WRITE_S = 4.0
RETRY_S = 0.25


async def drain(
    queue: EventQueue, executor: Executor, pipeline: Pipeline, store: Store
) -> list[str]:
    """Empty the queue, which nothing fills any more, settle orders under way, write it all.

    Returns:
        What could not be done in time, as sentences.
    """
    left = []
    try:
        async with asyncio.timeout(SETTLE_S):
            await queue.wait_processed(queue.last_sequence)
            await executor.drain()
    except TimeoutError:
        left.append(
            f"{queue.depth} events, and what the account did after transaction"
            f" {executor.last_transaction_id}, are left to the next start."
        )
    try:
        async with asyncio.timeout(WRITE_S):
            await pipeline.write_journal()
            await _write_all(store)
    except TimeoutError:
        left.append(f"Rows are not written: {store.fault or 'the store is slow.'}")
    for sentence in left:
        log.error("not_drained", reason=sentence)
    return left


async def _write_all(store: Store) -> None:
    """Return when all that is queued is committed, however often that takes a new attempt."""
    while True:
        try:
            return await store.flush()
        except TransientError:
            await asyncio.sleep(RETRY_S)
