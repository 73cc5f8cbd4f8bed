"""The broker's clock against ours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sepd.broker.oanda.offset import ClockOffset
from sepd.domain.time import NS_PER_S

MS = 1_000_000


def test_nothing_is_known_before_the_first_message() -> None:
    assert ClockOffset().offset_ns is None


@given(st.integers(-5 * NS_PER_S, 5 * NS_PER_S), st.lists(st.integers(0, NS_PER_S), min_size=1))
def test_the_error_is_the_smallest_delay_of_the_newest_messages(
    true_ns: int, delays: list[int]
) -> None:
    offset = ClockOffset(window=8)
    for number, delay in enumerate(delays):
        sent_ns = 1_000 * NS_PER_S + number * 5 * NS_PER_S
        offset.observe(sent_ns + true_ns, sent_ns + delay, sent_ns + delay - 77)
    assert offset.offset_ns == true_ns - min(delays[-8:])


def test_a_step_of_the_local_clock_shows_at_once() -> None:
    offset = ClockOffset()
    for second in range(0, 40, 5):
        now = second * NS_PER_S
        offset.observe(now, now + 20 * MS, now)
    assert offset.offset_ns == -20 * MS
    offset.observe(40 * NS_PER_S, 43 * NS_PER_S, 40 * NS_PER_S)
    assert offset.offset_ns == -3 * NS_PER_S
