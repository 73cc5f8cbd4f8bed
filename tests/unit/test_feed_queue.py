"""The bounded queue: order, conflation, back-pressure, progress."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from sepd.clock import EventClock
from sepd.domain.event import MarketEvent, Payload
from sepd.domain.market import Gap, Heartbeat, Quote
from sepd.feed import EventQueue
from tests.support.feed import candle, other, quote


def queue(capacity: int = 4, *, paced: bool = False) -> EventQueue:
    return EventQueue(EventClock(5), capacity, paced=paced)


def payloads(events: list[MarketEvent]) -> list[Payload]:
    return [event.payload for event in events]


async def test_events_are_numbered_in_the_order_of_acceptance() -> None:
    events = queue()
    assert await events.put_many([quote(1), quote(2)]) == 2
    assert await events.put_many([other(1)]) == 3
    assert await events.get_batch(10) == [
        MarketEvent(1, 5, quote(1)),
        MarketEvent(2, 5, quote(2)),
        MarketEvent(3, 5, other(1)),
    ]


async def test_a_batch_is_no_longer_than_asked_for() -> None:
    events = queue()
    await events.put_many([quote(1), quote(2), quote(3)])
    assert payloads(await events.get_batch(2)) == [quote(1), quote(2)]
    assert payloads(await events.get_batch(2)) == [quote(3)]


async def test_the_consumer_waits_for_the_first_event() -> None:
    events = queue()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(events.get_batch(4))
        await asyncio.sleep(0)
        assert not waiting.done()
        await events.put_many([quote(1)])
    assert payloads(waiting.result()) == [quote(1)]


async def test_a_full_queue_keeps_the_newest_quote_of_each_instrument() -> None:
    events = queue(2)
    await events.put_many([quote(1), quote(2)])
    await events.put_many([quote(3), quote(3, instrument="USD_JPY"), quote(4), Heartbeat(4)])
    assert (events.depth, events.conflated) == (6, 1)
    assert payloads(await events.get_batch(2)) == [quote(1), quote(2)]
    assert payloads(await events.get_batch(2)) == [Gap("EUR_USD", 3, 4), quote(4)]
    assert payloads(await events.get_batch(2)) == [quote(3, instrument="USD_JPY"), Heartbeat(4)]
    assert events.depth == 0


async def test_no_heartbeat_overtakes_the_gap_that_replaced_quotes_leave() -> None:
    events = queue(1)
    await events.put_many([quote(1), quote(3), Heartbeat(5), quote(6), quote(7)])
    got = [item for _ in range(4) for item in payloads(await events.get_batch(1))]
    assert got == [quote(1), Gap("EUR_USD", 3, 7), quote(7), Heartbeat(5)]


async def test_account_events_wait_for_room_and_are_never_dropped() -> None:
    events = queue(2)
    await events.put_many([quote(1), quote(2)])
    async with asyncio.TaskGroup() as group:
        putting = group.create_task(events.put_many([other(1), candle(0), other(2)]))
        await asyncio.sleep(0)
        assert not putting.done()
        got: list[Payload] = []
        while len(got) < 5:
            got += payloads(await events.get_batch(2))
    assert got == [quote(1), quote(2), other(1), candle(0), other(2)]


async def test_a_flood_of_quotes_does_not_keep_account_events_waiting() -> None:
    """The consumer takes one event a turn, and every turn brings more quotes than that."""
    events = queue(2)
    await events.put_many([quote(1), quote(2)])
    async with asyncio.TaskGroup() as group:
        putting = group.create_task(events.put_many([other(1)]))
        await asyncio.sleep(0)
        got: list[Payload] = []
        for turn in range(3, 7):
            got += payloads(await events.get_batch(1))
            await events.put_many([quote(10 * turn), quote(10 * turn + 1)])
            await asyncio.sleep(0)
        assert putting.done()
    assert other(1) in got


async def test_a_producer_that_is_cancelled_leaves_nothing_behind() -> None:
    events = queue(1)
    await events.put_many([quote(1)])
    async with asyncio.TaskGroup() as group:
        putting = group.create_task(events.put_many([other(1), other(2)]))
        await asyncio.sleep(0)
        assert events.depth == 2
        putting.cancel()
    assert payloads(await events.get_batch(9)) == [quote(1)]
    assert events.depth == 0


async def test_a_paced_queue_makes_quotes_wait() -> None:
    events = queue(2, paced=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(events.put_many([quote(time) for time in range(7)]))
        got: list[Payload] = []
        while len(got) < 7:
            got += payloads(await events.get_batch(3))
    assert got == [quote(time) for time in range(7)]
    assert events.conflated == 0


async def test_progress_wakes_those_who_waited_for_it() -> None:
    events = queue()
    sequence = await events.put_many([quote(1), quote(2)])
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(events.wait_processed(sequence))
        events.processed(1)
        await asyncio.sleep(0)
        assert not waiting.done()
        events.processed(2)
    await events.wait_processed(1)


async def test_the_age_of_the_oldest_event() -> None:
    clock = EventClock(100)
    events = EventQueue(clock, 4)
    assert events.oldest_age_ns == 0
    await events.put_many([quote(1)])
    clock.advance(130)
    assert events.oldest_age_ns == 30


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.lists(st.sampled_from("EUR"), min_size=1, max_size=6)),
            st.tuples(st.just("get"), st.integers(1, 5)),
        ),
        max_size=40,
    ),
    st.integers(1, 8),
)
def test_conflation_keeps_order_and_the_newest(
    steps: list[tuple[str, list[str] | int]], capacity: int
) -> None:
    """Sequences have no hole, each instrument's quotes stay in order, its newest is never lost."""

    async def play() -> None:
        events, time_ns, got = queue(capacity), 0, []
        newest: dict[str, int] = {}
        for _, what in steps:
            if isinstance(what, list):
                batch = []
                for name in what:
                    time_ns += 1
                    newest[name] = time_ns
                    batch.append(quote(time_ns, instrument=name))
                await events.put_many(batch)
            elif events.depth:
                got += await events.get_batch(what)
        while events.depth:
            got += await events.get_batch(3)
        assert [event.sequence for event in got] == list(range(1, len(got) + 1))
        gaps = [event.payload for event in got if isinstance(event.payload, Gap)]
        assert time_ns == len(got) - len(gaps) + events.conflated
        for name, last in newest.items():
            times = [
                event.payload.time_ns
                for event in got
                if isinstance(event.payload, Quote) and event.payload.instrument == name
            ]
            assert times == sorted(times)
            assert times[-1] == last

    asyncio.run(play())
