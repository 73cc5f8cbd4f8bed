"""Token bucket and throttle: never above the limit, the urgent first."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from sepd.broker.oanda.limits import Throttle, TokenBucket, Urgency


@given(
    st.lists(st.floats(0, 0.3), max_size=300),
    st.floats(1, 95),
    st.integers(1, 5),
)
def test_no_second_holds_more_than_rate_and_burst(
    steps: list[float], rate: float, burst: int
) -> None:
    """Times at which a token was taken, by a caller that asks whenever time moves."""
    bucket, now, taken = TokenBucket(rate, burst), 100.0, []
    for step in steps:
        now += step
        while bucket.take(now):
            taken.append(now)
    for start in taken:
        assert sum(start <= at < start + 1 for at in taken) <= rate + burst + 1e-6


def test_connections_at_the_default_rate_stay_at_two_a_second() -> None:
    bucket = TokenBucket(1.8, 1)
    taken = [tick / 1000 for tick in range(10_000) if bucket.take(tick / 1000)]
    assert len(taken) >= 17
    assert max(sum(start <= at < start + 1 for at in taken) for start in taken) == 2


def test_waiting_as_long_as_told_gives_a_token() -> None:
    bucket = TokenBucket(3, 1)
    assert bucket.take(0)
    assert not bucket.take(0.1)
    assert bucket.take(0.1 + bucket.wait_s(0.1))


def test_a_pause_lasts_as_long_as_asked() -> None:
    bucket = TokenBucket(10, 5)
    bucket.empty_until(0, 2)
    assert not bucket.take(1.99)
    assert bucket.take(2)
    assert not bucket.take(2.05)


def test_a_reserve_is_left_for_the_urgent() -> None:
    bucket = TokenBucket(1, 3)
    assert bucket.take(0, reserve=2)
    assert not bucket.take(0, reserve=2)
    assert bucket.take(0, reserve=1)
    assert not bucket.take(0, reserve=1)
    assert bucket.take(0)


async def test_an_exit_overtakes_reads_and_entries_that_wait() -> None:
    throttle, served = Throttle(50, 1), []

    async def ask(urgency: Urgency) -> None:
        await throttle.acquire(urgency)
        served.append(urgency)

    await throttle.acquire(Urgency.EXIT)
    async with asyncio.TaskGroup() as group:
        for urgency in (Urgency.READ, Urgency.ENTRY, Urgency.READ, Urgency.EXIT):
            group.create_task(ask(urgency))
    assert served == [Urgency.EXIT, Urgency.ENTRY, Urgency.READ, Urgency.READ]


async def test_a_caller_that_gave_up_takes_no_turn() -> None:
    throttle = Throttle(50, 1)
    await throttle.acquire()
    async with asyncio.TaskGroup() as group:
        given_up = group.create_task(throttle.acquire())
        patient = group.create_task(throttle.acquire())
        await asyncio.sleep(0)
        given_up.cancel()
    assert patient.done()
    assert throttle.waiting == 0
