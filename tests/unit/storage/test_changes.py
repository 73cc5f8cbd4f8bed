"""A batch of broker transactions does what its events do one after the other, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.clock import EventClock
from sepd.domain.account import (
    AccountEvent,
    BalanceChanged,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    TradeOpen,
    TradeReduce,
)
from sepd.storage.memory import MemoryStore
from tests.support.trading import ACCOUNT, NOON, make_entry, make_signal

ENTRY = make_entry(make_signal(1), 1000)
OTHER = make_entry(make_signal(2), 1000)
UNITS, ZERO = Decimal(1000), Decimal(0)
BAD_DAY_NS = 1 << 62


def filled(number: int, units: int, pl: int, balance: int, **legs: Any) -> OrderFilled:
    return OrderFilled(
        number, NOON + number, number - 1, "EUR_USD", Decimal(units), 110_000, "X",
        Decimal(pl), ZERO, ZERO, Decimal(balance), **legs,
    )  # fmt: skip


def leg(units: int, pl: int) -> TradeReduce:
    return TradeReduce(2, Decimal(units), 110_010, Decimal(pl))


STORY: Sequence[AccountEvent] = (
    OrderAccepted(1, NOON + 1, "MARKET", "CLIENT_ORDER", client_order_id=ENTRY.id),
    filled(2, 1000, 0, 100, opened=TradeOpen(2, UNITS, 110_000)),
    OrderAccepted(3, NOON + 3, "TAKE_PROFIT", "ON_FILL"),
    OrderAccepted(4, NOON + 4, "STOP_LOSS", "ON_FILL"),
    OrderAccepted(5, NOON + 5, "MARKET", "CLIENT_ORDER", client_order_id=OTHER.id),
    OrderCancelled(6, NOON + 6, 5, "BOUNDS_VIOLATION"),
    BalanceChanged(7, NOON + 7, "DAILY_FINANCING", Decimal(-2), Decimal(98), {2: Decimal(-2)}),
    filled(8, -400, 5, 103, reduced=leg(-400, 5)),
    filled(9, -600, 7, 110, closed=(leg(-600, 7),)),
    BalanceChanged(10, NOON + 10, "DAILY_FINANCING", Decimal(-1), Decimal(109), {2: Decimal(-1)}),
)


def trading_day(time_ns: int) -> str:
    if time_ns == BAD_DAY_NS:
        raise ValueError("no day")
    return "d"


async def store_after(batches: Sequence[Sequence[AccountEvent]]) -> MemoryStore:
    store = MemoryStore(trading_day=trading_day, clock=EventClock(NOON))
    await store.commit_intent(ENTRY, make_signal(1), b"risk")
    await store.commit_intent(OTHER, make_signal(2), b"risk")
    for batch in batches:
        await store.apply_account_events(ACCOUNT, batch)
    return store


@given(
    cuts=st.sets(st.integers(1, len(STORY))),
    order=st.just(list(STORY)) | st.permutations(STORY),
    again=st.lists(st.sampled_from(STORY), max_size=3),
)
def test_how_events_are_batched_does_not_matter(
    cuts: set[int], order: list[AccountEvent], again: list[AccountEvent]
) -> None:
    events = [*order, *again]
    edges = [0, *sorted(cuts), len(events)]
    batches = [events[first:last] for first, last in pairwise(edges)]

    async def compare() -> None:
        one, many = await store_after([[event] for event in events]), await store_after(batches)
        assert await one.load_state(ACCOUNT) == await many.load_state(ACCOUNT)
        assert await one.totals(ACCOUNT) == await many.totals(ACCOUNT)
        assert one.audit == many.audit

    asyncio.run(compare())


async def test_a_trade_may_open_and_close_in_one_batch() -> None:
    store = await store_after([STORY])
    state, totals = await store.load_state(ACCOUNT), await store.totals(ACCOUNT)
    assert (state.positions, state.orders, state.last_transaction_id) == ((), (), 10)
    assert totals.orders_by_state == {"CANCELLED": 1, "CLOSED": 1}
    assert (totals.closed_trades, totals.trading_results_pl) == (1, Decimal(10))


async def test_only_what_was_not_applied_before_is_answered() -> None:
    store = await store_after([STORY[:2]])
    assert await store.apply_account_events(ACCOUNT, [*STORY[1:4], STORY[3]]) == (3, 4)
    assert await store.apply_account_events(ACCOUNT, STORY[:4]) == ()
    assert await store.apply_account_events(ACCOUNT, []) == ()


async def test_a_batch_that_fails_leaves_nothing() -> None:
    store = await store_after([])
    before = await store.load_state(ACCOUNT), list(store.audit)
    bad = BalanceChanged(11, BAD_DAY_NS, "FEE", Decimal(-1), Decimal(99))
    with pytest.raises(ValueError, match="no day"):
        await store.apply_account_events(ACCOUNT, [*STORY, bad])
    assert (await store.load_state(ACCOUNT), store.audit) == before
    assert len(await store.apply_account_events(ACCOUNT, STORY)) == len(STORY)
