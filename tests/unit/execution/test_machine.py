"""The order state machine, arrow by arrow."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sepd.domain.account import BalanceChanged, TradeReduce
from sepd.domain.order import Ambiguous, Done, OrderIntent, OrderState, Refused, Unsent
from sepd.execution.intent import repeated
from sepd.execution.machine import (
    FINAL,
    Absent,
    Block,
    Cleared,
    Command,
    Committed,
    Fenced,
    Input,
    NotCommitted,
    Order,
    QuietElapsed,
    Record,
    Recovered,
    Release,
    Repeat,
    Scan,
    Send,
    Unblock,
    Verify,
    Wait,
    handle,
)
from tests.support.order_rows import (
    ENTRY,
    EXIT,
    ZERO,
    accepted,
    cancelled,
    fill_row,
    filled,
    rejected,
)
from tests.support.trading import NOON

S = OrderState
AMBIGUOUS = Ambiguous("timeout")


def play(intent: OrderIntent, *items: Input) -> tuple[Order, list[list[type]]]:
    """The order after `items`, and the kinds of commands that each one brought."""
    order, brought = Order(intent), []
    for item in items:
        order, commands = handle(order, item)
        brought.append([type(command) for command in commands])
    return order, brought


SENT: tuple[Input, ...] = (Committed(), Cleared())


def test_an_order_is_sent_after_it_is_durable_and_cleared() -> None:
    order, brought = play(ENTRY, *SENT)
    assert order.state is S.SENT
    assert brought == [[Verify], [Send]]


def test_an_intent_that_is_not_durable_ends_unsent() -> None:
    order, brought = play(ENTRY, NotCommitted("store_unavailable"), Committed(), Cleared())
    assert (order.state, order.reason) == (S.EXPIRED, "store_unavailable")
    assert brought == [[Release], [], []]


def test_an_intent_that_is_fenced_ends_unsent() -> None:
    order, brought = play(ENTRY, Committed(), Fenced("expired"), Cleared())
    assert (order.state, order.reason) == (S.EXPIRED, "expired")
    assert brought[1:] == [[Record, Release], []]


def test_reply_and_fill() -> None:
    order, _ = play(ENTRY, *SENT, Done((), 9), accepted(8), filled(9))
    assert order.state is S.FILLED
    assert (order.order_id, order.trades) == (8, (9,))


def test_the_stream_may_be_faster_than_the_reply() -> None:
    order, brought = play(ENTRY, *SENT, accepted(8), filled(9), Done((), 9))
    assert order.state is S.FILLED
    assert brought[-1] == []


def test_a_fill_in_parts() -> None:
    order, _ = play(ENTRY, *SENT, accepted(8), filled(9, units=400))
    assert (order.state, order.filled) == (S.PARTIAL, Decimal(400))
    order, _ = handle(order, filled(10, units=600))
    assert (order.state, order.trades) == (S.FILLED, (9, 10))


def test_the_rest_of_a_partly_filled_order_may_be_cancelled() -> None:
    order, brought = play(ENTRY, *SENT, filled(9, units=400), cancelled(10))
    assert (order.state, order.filled) == (S.FILLED, Decimal(400))
    assert brought[-1] == [Release]


@pytest.mark.parametrize(
    ("item", "state"),
    [
        (Refused("INSUFFICIENT_MARGIN", ""), S.REJECTED),
        (rejected(8), S.REJECTED),
        (cancelled(9), S.CANCELLED),
        (Unsent("refused"), S.EXPIRED),
    ],
)
def test_an_order_that_will_not_fill_is_released(item: Input, state: OrderState) -> None:
    order, brought = play(ENTRY, *SENT, item)
    assert order.state is state
    assert Release in brought[-1]
    assert Repeat not in brought[-1]


def test_a_doubtful_order_blocks_its_pair_and_is_looked_for() -> None:
    order, brought = play(ENTRY, *SENT, AMBIGUOUS)
    assert order.state is S.UNKNOWN
    assert brought[-1] == [Record, Block, Scan]
    _, commands = handle(Order(ENTRY, S.SENT), AMBIGUOUS)
    assert commands[-1] == Scan(7)


def test_absence_counts_only_after_the_quiet_window() -> None:
    order, brought = play(ENTRY, *SENT, AMBIGUOUS, Absent(), QuietElapsed(), Absent())
    assert order.state is S.EXPIRED
    assert brought[3:] == [[Wait], [Scan], [Record, Release, Unblock]]


@pytest.mark.parametrize("evidence", [accepted(8), filled(9), cancelled(9), rejected(8)])
def test_the_brokers_record_ends_the_doubt(evidence: Input) -> None:
    order, brought = play(ENTRY, *SENT, AMBIGUOUS, evidence)
    assert order.state is not S.UNKNOWN
    assert Unblock in brought[-1]


def test_a_row_that_turns_up_late_still_counts() -> None:
    order, _ = play(ENTRY, *SENT, AMBIGUOUS, Absent(), QuietElapsed(), Absent(), filled(30))
    assert (order.state, order.trades) == (S.FILLED, (30,))


@pytest.mark.parametrize("state", [S.NEW, S.INTENT, S.SENT, S.UNKNOWN])
def test_what_a_dead_process_may_have_sent_is_doubtful(state: OrderState) -> None:
    order, commands = handle(Order(ENTRY, state), Recovered())
    assert order.state is S.UNKNOWN
    assert Send() not in commands


@pytest.mark.parametrize("state", [S.ACK, S.PARTIAL, S.FILLED, *sorted(FINAL)])
def test_what_the_broker_has_answered_is_not(state: OrderState) -> None:
    order = Order(ENTRY, state)
    assert handle(order, Recovered()) == (order, ())


@pytest.mark.parametrize("items", [(Unsent("x"),), (AMBIGUOUS, Absent())])
def test_an_exit_that_never_arrived_is_attempted_again(items: tuple[Input, ...]) -> None:
    _, brought = play(EXIT, *SENT, *items)
    assert Repeat in brought[-1]


def test_an_exit_is_done_when_its_trade_is_closed() -> None:
    order, _ = play(EXIT, *SENT, accepted(8, EXIT), filled(9, EXIT))
    assert order.state is S.CLOSED


@pytest.mark.parametrize("state", [S.SENT, S.ACK, S.UNKNOWN])
def test_an_exit_is_done_when_another_order_has_closed_its_trade(state: OrderState) -> None:
    other = fill_row(12, Decimal(-1_000), "", closed=(TradeReduce(5, Decimal(-1_000), 1, ZERO),))
    order, commands = handle(Order(EXIT, state), other)
    assert order.state is S.CLOSED
    assert {Record(), Release()} <= set(commands)
    assert (Unblock() in commands) == (state is S.UNKNOWN)


def test_an_exit_overtaken_before_it_is_stored_is_recorded_once_it_is() -> None:
    stop = fill_row(12, Decimal(-1_000), "", closed=(TradeReduce(5, Decimal(-1_000), 1, ZERO),))
    overtaken, commands = handle(Order(EXIT), stop)
    assert (overtaken.state, commands) == (S.CLOSED, (Release(),))
    assert handle(overtaken, NotCommitted("store_unavailable", again=True)) == (overtaken, ())
    assert handle(overtaken, Committed()) == (overtaken, (Record(),))


def test_an_entry_is_done_when_its_trade_is_closed_by_another_order() -> None:
    order, _ = play(ENTRY, *SENT, filled(9))
    other = fill_row(12, Decimal(-1_000), "", closed=(TradeReduce(9, Decimal(-1_000), 1, ZERO),))
    order, _ = handle(order, other)
    assert (order.state, order.trades) == (S.CLOSED, ())


def test_a_fill_that_concerns_other_trades_changes_nothing() -> None:
    order, _ = play(ENTRY, *SENT, filled(9))
    other = fill_row(12, Decimal(-1), "x", closed=(TradeReduce(3, Decimal(-1), 1, ZERO),))
    assert handle(order, other) == (order, ())
    assert handle(order, BalanceChanged(13, NOON, "FEE", ZERO, ZERO)) == (order, ())


def test_each_attempt_at_an_exit_is_an_intent_of_its_own() -> None:
    again = repeated(EXIT, now_ns=NOON + 1, checkpoint=9)
    assert again.id != EXIT.id
    assert (again.trade_id, again.attempt, again.checkpoint) == (EXIT.trade_id, 1, 9)
    with pytest.raises(ValueError, match="exit"):
        repeated(ENTRY, now_ns=NOON, checkpoint=9)


def test_commands_are_values() -> None:
    wait: Command = Wait()
    assert wait == Wait()
