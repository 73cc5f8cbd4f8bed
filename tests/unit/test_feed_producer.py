"""One instrument's prices: order, sanity, and what is missing after an interruption."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.market import Gap, Granularity, Quote
from sepd.feed.producer import Missing, Producer, Verdict
from tests.support.feed import MINUTE, NOON, S, candle, quote

DROP, TAKE, REPAIR = Verdict.DROP, Verdict.TAKE, Verdict.REPAIR


def producer(*, watched: bool = True, since_ns: int | None = None) -> Producer:
    return Producer("EUR_USD", Granularity.M1, since_ns, watched=watched)


def repair(one: Producer, time_ns: int, *starts: int) -> list[object]:
    missing = one.missing(time_ns)
    assert missing is not None
    return list(one.repaired(missing, [candle(start) for start in starts], time_ns))


@pytest.mark.parametrize(("bid", "ask"), [(0, 10), (-5, 10), (11, 10), (0, 0), (5, -1)])
def test_impossible_prices_are_refused_and_counted(bid: int, ask: int) -> None:
    one = producer()
    assert one.judge(Quote("EUR_USD", NOON, bid, ask)) is DROP
    assert one.refused == 1


def test_a_repeat_on_a_tape_is_a_recorded_quote() -> None:
    one = producer(watched=True)
    assert [one.judge(quote(NOON)), one.judge(quote(NOON))] == [TAKE, TAKE]


def test_late_and_repeated_quotes_are_dropped_and_counted() -> None:
    one = producer(watched=False)
    assert one.judge(quote(NOON)) is TAKE
    assert one.judge(quote(NOON)) is DROP
    assert one.judge(quote(NOON - 1)) is DROP
    assert one.judge(quote(NOON, bid=110_001)) is TAKE
    assert one.late == 2


def test_a_tape_is_whole_from_its_first_quote() -> None:
    one = producer()
    assert [one.judge(quote(NOON + i * MINUTE)) for i in range(3)] == [TAKE] * 3


def test_a_start_in_the_middle_of_a_candle_is_made_whole_at_its_end() -> None:
    one = producer(watched=False)
    assert one.judge(quote(NOON + 30 * S)) is TAKE
    assert one.judge(quote(NOON + 50 * S)) is TAKE
    after = NOON + MINUTE + S
    assert one.judge(quote(after)) is REPAIR
    assert one.missing(after) == Missing("EUR_USD", NOON, NOON + MINUTE, NOON)
    assert repair(one, after, NOON) == [candle(NOON)]
    assert one.judge(quote(after)) is TAKE
    assert one.judge(quote(NOON + 5 * MINUTE)) is TAKE


def test_an_interruption_is_repaired_before_and_after_the_first_quote() -> None:
    one = producer()
    one.judge(quote(NOON + 10 * S))
    one.interrupted()
    back = NOON + 3 * MINUTE + 20 * S
    assert one.judge(quote(back)) is REPAIR
    assert one.missing(back) == Missing("EUR_USD", NOON, NOON + 3 * MINUTE, NOON)
    assert repair(one, back, NOON, NOON + 2 * MINUTE) == [candle(NOON), candle(NOON + 2 * MINUTE)]
    assert one.judge(quote(back)) is TAKE
    after = NOON + 4 * MINUTE
    assert one.judge(quote(after)) is REPAIR
    assert one.missing(after) == Missing("EUR_USD", NOON + 3 * MINUTE, after, NOON + 3 * MINUTE)
    assert repair(one, after, NOON + 3 * MINUTE) == [candle(NOON + 3 * MINUTE)]
    assert one.judge(quote(after)) is TAKE


def test_the_same_price_after_an_interruption_means_that_nothing_was_missed() -> None:
    one = producer()
    one.judge(quote(NOON + 10 * S))
    one.interrupted()
    assert one.judge(quote(NOON + 10 * S)) is DROP
    assert one.live
    assert one.judge(quote(NOON + 2 * MINUTE)) is TAKE


def test_a_candle_already_missing_its_beginning_still_is_after_such_an_interruption() -> None:
    one = producer(watched=False)
    one.judge(quote(NOON + 30 * S))
    one.interrupted()
    one.interrupted()
    assert one.judge(quote(NOON + 30 * S)) is DROP
    assert one.judge(quote(NOON + MINUTE)) is REPAIR
    assert one.missing(NOON + MINUTE) == Missing("EUR_USD", NOON, NOON + MINUTE, NOON)


def test_an_interruption_during_a_repair_reaches_back_to_the_first() -> None:
    one = producer(watched=False)
    one.judge(quote(NOON + 30 * S))
    one.interrupted()
    back = NOON + 5 * MINUTE
    assert one.judge(quote(back)) is REPAIR
    assert one.missing(back) == Missing("EUR_USD", NOON, back, NOON)


def test_a_candle_that_a_heartbeat_has_closed_is_not_missing() -> None:
    one = producer()
    one.judge(quote(NOON + 50 * S))
    one.interrupted(NOON + MINUTE + 5 * S)
    back = NOON + 3 * MINUTE
    assert one.judge(quote(back)) is REPAIR
    assert one.missing(back) == Missing("EUR_USD", NOON + MINUTE, back, None)


def test_history_after_the_newest_stored_candle_is_fetched_first() -> None:
    one = producer(watched=False, since_ns=NOON)
    back = NOON + 2 * MINUTE + S
    assert one.judge(quote(back)) is REPAIR
    assert one.missing(back) == Missing("EUR_USD", NOON, NOON + 2 * MINUTE, None)
    assert repair(one, back, NOON) == [candle(NOON)]
    assert one.judge(quote(back)) is TAKE


def test_a_candle_that_must_exist_but_does_not_is_a_gap() -> None:
    one = producer()
    one.judge(quote(NOON + 10 * S))
    one.interrupted()
    back = NOON + 2 * MINUTE + S
    assert repair(one, back, NOON + MINUTE) == [
        Gap("EUR_USD", NOON, NOON + MINUTE),
        candle(NOON + MINUTE),
    ]
    assert one.gaps == 1


def test_an_untradeable_price_promises_no_candle() -> None:
    one = producer()
    one.judge(Quote("EUR_USD", NOON + 10 * S, 1, 2, tradeable=False))
    one.interrupted()
    missing = one.missing(NOON + 2 * MINUTE)
    assert missing is not None
    assert missing.sure_ns is None


def test_where_the_broker_gives_no_candles_the_stretch_is_a_gap() -> None:
    one = producer()
    one.judge(quote(NOON + 10 * S))
    one.interrupted()
    back = NOON + 2 * MINUTE + S
    missing = one.missing(back)
    assert missing is not None
    assert one.given_up(missing, back) == [Gap("EUR_USD", NOON, back)]
    assert one.judge(quote(back)) is TAKE
    assert one.judge(quote(back + MINUTE)) is TAKE


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-1, 3), st.integers(-1, 3))))
def test_what_is_taken_is_sane_and_in_order(rows: list[tuple[int, int, int]]) -> None:
    """Each quote is taken, late or refused; repeats of the newest have no effect."""
    one, taken = producer(watched=False), []
    for time_ns, bid, ask in rows:
        if one.judge(Quote("EUR_USD", time_ns, bid, ask)) is TAKE:
            taken.append((time_ns, bid, ask))
    assert len(rows) == len(taken) + one.late + one.refused
    assert [row[0] for row in taken] == sorted(row[0] for row in taken)
    assert all(0 < bid <= ask for _, bid, ask in taken)
    assert all(first != second for first, second in pairwise(taken))
