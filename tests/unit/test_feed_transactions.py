"""The account's transactions: complete, in order, each once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sepd.clock import EventClock
from sepd.domain.account import TransactionHeartbeat
from sepd.errors import TransientError
from sepd.feed import EventQueue, TransactionFeed
from tests.support.feed import AccountBatch, ScriptedBroker, other


def feed(broker: ScriptedBroker, last_id: int = 6) -> tuple[TransactionFeed, EventQueue]:
    queue = EventQueue(EventClock(), 1_000)
    return TransactionFeed(broker, queue, last_id, wait_s=5), queue


async def follow(broker: ScriptedBroker, one: TransactionFeed, *batches: AccountBatch) -> None:
    """Run the feed over a stream that brings `batches` and then breaks."""

    async def stream() -> AsyncIterator[AccountBatch]:
        for batch in batches:
            yield batch
        raise TransientError("cut")

    broker.account_streams.append(stream)
    with pytest.raises(TransientError, match="cut"):
        await one.run()


async def ids(queue: EventQueue) -> list[int]:
    """Transaction ids on the queue; heartbeats as the negative of what they name."""
    if not queue.depth:
        return []
    return [
        -event.payload.last_transaction_id
        if isinstance(event.payload, TransactionHeartbeat)
        else getattr(event.payload, "transaction_id", 0)
        for event in await queue.get_batch(1_000)
    ]


async def test_the_record_is_read_before_the_stream() -> None:
    broker = ScriptedBroker()
    broker.record = [other(7), other(8)]
    one, queue = feed(broker)
    await follow(broker, one, (other(9),), (other(10), other(11)))
    assert await ids(queue) == [7, 8, 9, 10, 11]
    assert (one.last_id, one.recovered, one.connected) == (11, 2, False)


async def test_what_happens_while_the_stream_connects_is_read_again() -> None:
    broker = ScriptedBroker()
    one, queue = feed(broker)

    async def stream() -> AsyncIterator[AccountBatch]:
        broker.record = [other(7)]
        yield ()
        assert one.last_id == 7
        raise TransientError("cut")

    broker.account_streams.append(stream)
    with pytest.raises(TransientError):
        await one.run()
    assert await ids(queue) == [7]


async def test_a_hole_in_the_stream_is_filled_from_the_record() -> None:
    broker = ScriptedBroker()
    one, queue = feed(broker)

    async def stream() -> AsyncIterator[AccountBatch]:
        yield (other(7),)
        broker.record = [other(number) for number in range(1, 11)]
        yield (other(10),)
        yield (other(11),)
        raise TransientError("cut")

    broker.account_streams.append(stream)
    with pytest.raises(TransientError):
        await one.run()
    assert await ids(queue) == [7, 8, 9, 10, 11]


async def test_a_heartbeat_that_names_a_newer_id_shows_a_loss() -> None:
    broker = ScriptedBroker()
    one, queue = feed(broker)

    async def stream() -> AsyncIterator[AccountBatch]:
        yield ()
        broker.record = [other(7), other(8)]
        yield (TransactionHeartbeat(1, 8),)
        raise TransientError("cut")

    broker.account_streams.append(stream)
    with pytest.raises(TransientError):
        await one.run()
    assert await ids(queue) == [7, 8, -8]


async def test_a_row_seen_before_has_no_effect() -> None:
    broker = ScriptedBroker()
    one, queue = feed(broker)
    await follow(broker, one, (other(7), other(7), other(6), other(8)), (other(7),))
    assert await ids(queue) == [7, 8]
    assert one.duplicates == 3


async def test_a_second_run_goes_on_where_the_first_broke() -> None:
    broker = ScriptedBroker()
    one, queue = feed(broker)
    await follow(broker, one, (other(7),))
    broker.record = [other(number) for number in range(1, 10)]
    await follow(broker, one, (other(10),))
    assert await ids(queue) == [7, 8, 9, 10]


async def test_waiting_for_a_transaction_ends_when_it_is_on_the_queue() -> None:
    broker = ScriptedBroker()
    one, queue = feed(broker)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(one.wait_for(8))
        await asyncio.sleep(0)
        await follow(broker, one, (other(7),), (other(8),))
        await waiting
    assert await ids(queue) == [7, 8]


async def test_waiting_for_a_transaction_that_never_comes_has_an_end() -> None:
    one = TransactionFeed(ScriptedBroker(), EventQueue(EventClock(), 16), 6, wait_s=0.01)
    with pytest.raises(TransientError, match="Transaction 7 did not arrive"):
        await one.wait_for(7)
