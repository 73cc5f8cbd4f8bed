"""What no sequence of inputs can make the order state machine do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.account import OrderAccepted, OrderCancelled, OrderFilled, OrderRejected
from sepd.domain.order import Ambiguous, Done, OrderIntent, OrderState, Refused, Unsent
from sepd.execution.machine import (
    FINAL,
    Absent,
    Block,
    Cleared,
    Committed,
    Fenced,
    Input,
    NotCommitted,
    Order,
    QuietElapsed,
    Recovered,
    Release,
    Repeat,
    Send,
    Unblock,
    handle,
)
from tests.support.order_rows import ENTRY, EXIT, accepted, cancelled, filled, rejected

S = OrderState
INPUTS: list[Input] = [
    Committed(),
    NotCommitted("x"),
    Cleared(),
    Fenced("x"),
    Recovered(),
    QuietElapsed(),
    Absent(),
    Done((), 9),
    Refused("x", ""),
    Unsent("x"),
    Ambiguous("timeout"),
]


def evidence(intent: OrderIntent) -> list[Input]:
    return [
        accepted(8, intent),
        filled(9, intent, units=400 if intent is ENTRY else -400),
        filled(10, intent),
        cancelled(11, intent),
        rejected(12, intent),
    ]


@given(
    st.sampled_from([ENTRY, EXIT]).flatmap(
        lambda intent: st.tuples(
            st.just(intent), st.lists(st.sampled_from(INPUTS + evidence(intent)), max_size=25)
        )
    )
)
def test_no_sequence_of_inputs_breaks_the_promises(case: tuple[OrderIntent, list[Input]]) -> None:
    intent, items = case
    order, sent, committed, cleared = Order(intent), 0, False, False
    for item in items:
        before = order
        order, commands = handle(before, item)
        committed |= isinstance(item, Committed)
        cleared |= isinstance(item, Cleared)
        sent += commands.count(Send())
        assert sent <= 1, "sent twice"
        assert committed and cleared if Send() in commands else True
        assert not (intent is ENTRY and Repeat() in commands)
        if before.state is S.CLOSED:
            assert order == before
        if before.state is S.UNKNOWN and order.state is not S.UNKNOWN:
            proven = isinstance(item, OrderAccepted | OrderFilled | OrderCancelled | OrderRejected)
            sought = before.quiet or intent is EXIT
            assert proven or (isinstance(item, Absent) and sought)
            assert Unblock() in commands
        if order.state is S.UNKNOWN and before.state is not S.UNKNOWN:
            assert Block() in commands
        if order.state in FINAL - {S.CLOSED} and before.state not in FINAL:
            assert Release() in commands or Repeat() in commands
        assert handle(before, item) == (order, commands), "not a function"


@given(st.lists(st.sampled_from(evidence(ENTRY)), max_size=12))
def test_the_same_row_twice_is_the_same_as_once(rows: list[Input]) -> None:
    once, twice = Order(ENTRY, S.SENT), Order(ENTRY, S.SENT)
    for row in rows:
        once, _ = handle(once, row)
        twice, _ = handle(twice, row)
        again, commands = handle(twice, row)
        assert (again, commands) == (twice, ())
    assert once == twice
