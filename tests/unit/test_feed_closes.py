"""The broker's candles at each close, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sepd.domain.market import Candle, Granularity
from sepd.errors import BrokerRejected, TransientError
from sepd.feed import CloseFeed, EventQueue
from tests.support.feed import MINUTE, NOON, S, ScriptedBroker, candle
from tests.support.virtual import LoopClock, run_virtually

HALF = NOON + 30 * S


async def follow(
    broker: ScriptedBroker, seconds: float, offset_ns: Callable[[], int] = int
) -> list[tuple[float, int]]:
    """Run from half past noon's first minute; returns when each candle came, and its start."""
    clock = LoopClock(HALF)
    queue = EventQueue(clock, 100)
    closes = CloseFeed(broker, queue, ["EUR_USD"], Granularity.M1, clock, offset_ns=offset_ns)
    came: list[tuple[float, int]] = []

    async def consume() -> None:
        while True:
            for event in await queue.get_batch(10):
                assert isinstance(event.payload, Candle)
                came.append((asyncio.get_running_loop().time(), event.payload.time_ns))

    async def run() -> None:
        while True:
            try:
                await closes.run()
            except TransientError:
                await asyncio.sleep(1)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run()), group.create_task(consume())]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
    return [(round(at_s, 3), start_ns) for at_s, start_ns in came]


def test_each_candle_comes_once_a_moment_after_its_end() -> None:
    broker = ScriptedBroker()
    broker.history = [candle(NOON + number * MINUTE) for number in range(3)]
    assert run_virtually(follow(broker, 170)) == [
        (32.0, NOON),
        (92.0, NOON + MINUTE),
        (152.0, NOON + 2 * MINUTE),
    ]


def test_the_brokers_clock_is_the_one_that_counts() -> None:
    broker = ScriptedBroker()
    broker.history = [candle(NOON)]
    assert run_virtually(follow(broker, 60, lambda: 5 * S)) == [(27.0, NOON)]


def test_a_candle_published_late_comes_with_the_next() -> None:
    broker = ScriptedBroker()
    broker.appearing.extend([[], [candle(NOON), candle(NOON + MINUTE)]])
    assert run_virtually(follow(broker, 170)) == [(92.0, NOON), (92.0, NOON + MINUTE)]


def test_a_failed_request_is_made_again() -> None:
    broker = ScriptedBroker()
    broker.history = [candle(NOON)]
    broker.faults.append(TransientError("504"))
    assert run_virtually(follow(broker, 60)) == [(33.0, NOON)]


def test_a_quiet_market_is_not_asked_for_ever_further_back() -> None:
    broker = ScriptedBroker()
    assert run_virtually(follow(broker, 20 * 60)) == []
    assert max(to_ns - from_ns for _, from_ns, to_ns in broker.asked) == 5 * MINUTE


def test_what_the_broker_refuses_is_asked_again_at_the_next_close() -> None:
    broker = ScriptedBroker()
    broker.history = [candle(NOON)]
    broker.faults.append(BrokerRejected("X", "no"))
    assert run_virtually(follow(broker, 100)) == [(92.0, NOON)]
