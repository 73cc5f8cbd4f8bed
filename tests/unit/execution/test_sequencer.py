"""Events in the order of their ids, each once, whichever way they came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.account import AccountEvent, OtherTransaction
from sepd.execution.sequencer import Sequencer


def rows(*numbers: int) -> list[AccountEvent]:
    return [OtherTransaction(number, 0, "X") for number in numbers]


def take(events: Sequencer, maximum: int = 3) -> list[int]:
    taken = []
    while batch := events.ready(maximum):
        assert len(batch) <= maximum
        for event in batch:
            events.advance(event)
            taken.append(event.transaction_id)
    return taken


def test_what_follows_a_hole_waits_for_it() -> None:
    events = Sequencer(10)
    events.offer(rows(12, 13))
    assert take(events) == []
    assert events.behind
    events.offer(rows(11))
    assert take(events) == [11, 12, 13]
    assert not events.behind


def test_a_complete_read_shows_that_a_hole_is_empty() -> None:
    events = Sequencer(10)
    events.offer(rows(15))
    events.complete(rows(12, 14))
    assert take(events) == [12, 14, 15]


def test_what_comes_while_a_batch_is_applied_waits_for_the_next() -> None:
    events = Sequencer(10)
    events.offer(rows(11, 12))
    batch = events.ready(9)
    events.offer(rows(13, 11))
    for event in batch:
        events.advance(event)
    assert events.applied == 12
    assert take(events) == [13]


def test_what_comes_late_out_of_a_hole_known_to_be_empty_is_dropped() -> None:
    events = Sequencer(10)
    events.complete(rows(12))
    batch = events.ready(9)
    events.offer(rows(11))
    for event in batch:
        events.advance(event)
    assert take(events) == []
    assert not events.behind


def test_a_heartbeat_tells_of_what_was_missed() -> None:
    events = Sequencer(10)
    events.note(12)
    assert events.behind
    events.note(9)
    assert events.known == 12


@given(
    st.integers(0, 20),
    st.lists(st.lists(st.integers(1, 40), max_size=8), max_size=12),
    st.randoms(use_true_random=False),
)
def test_nothing_is_lost_doubled_or_reordered(
    start: int, batches: list[list[int]], rng: object
) -> None:
    events = Sequencer(start)
    taken: list[int] = []
    for batch in batches:
        events.offer(rows(*batch))
        taken += take(events)
    events.complete(rows(*range(start + 1, 41)))
    taken += take(events)
    assert taken == list(range(start + 1, 41))
