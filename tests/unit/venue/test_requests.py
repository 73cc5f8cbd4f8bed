"""Whatever a client sends is refused or becomes transactions; the account stays sound."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepd.venue.errors import Refusal
from sepd.venue.requests import ORDER_KINDS, decimal, parse_instant, parse_order, whole
from tests.support.desk import make_desk

texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["1", "-1", "1.1", "1e5", "1E-9", "NaN", "Infinity", "-0", "0", "٣", "1_0", "9" * 25]
    ),
    st.decimals(allow_nan=True, places=6).map(str),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), texts, st.sampled_from(["GTD", "IOC"])
)
extensions = st.one_of(scalars, st.dictionaries(st.sampled_from(["id", "tag", "x"]), scalars))
details = st.one_of(
    scalars,
    st.fixed_dictionaries(
        {},
        optional={
            "price": scalars,
            "distance": scalars,
            "timeInForce": st.sampled_from(["GTC", "GTD", "GFD", "FOK", 1]),
            "gtdTime": scalars,
            "clientExtensions": extensions,
            "guaranteed": scalars,
        },
    ),
)
orders = st.fixed_dictionaries(
    {"type": st.sampled_from([*ORDER_KINDS, "ODD", 5])},
    optional={
        "instrument": st.one_of(st.just("EUR_USD"), scalars),
        "units": st.one_of(st.integers(-2_000, 2_000), scalars),
        "price": st.one_of(st.decimals(1, 2, places=5).map(str), scalars),
        "priceBound": scalars,
        "distance": scalars,
        "timeInForce": st.sampled_from(["GTC", "GTD", "GFD", "FOK", "IOC", "ODD", 3]),
        "gtdTime": scalars,
        "positionFill": st.sampled_from(["DEFAULT", "REDUCE_ONLY", "OPEN_ONLY", "ODD"]),
        "triggerCondition": st.sampled_from(["DEFAULT", "INVERSE", "BID", "ASK", "MID", "ODD"]),
        "tradeID": scalars,
        "clientTradeID": scalars,
        "clientExtensions": extensions,
        "tradeClientExtensions": extensions,
        "takeProfitOnFill": details,
        "stopLossOnFill": details,
        "trailingStopLossOnFill": details,
    },
)


@settings(max_examples=400)
@given(st.lists(orders, max_size=8), st.lists(st.integers(-3_000, 3_000), min_size=1, max_size=4))
def test_any_orders_leave_a_sound_account(bodies: list[dict[str, Any]], moves: list[int]) -> None:
    desk = make_desk()
    for turn, body in enumerate(bodies):
        before = desk.account.ledger.last_id
        try:
            outcome = desk.engine.place(parse_order({"order": body}))
            assert outcome.related
            assert desk.account.ledger.last_id > before
        except Refusal:
            refused = desk.account.ledger.last_id
            assert refused == before
        bid = 110_000 + moves[turn % len(moves)]
        desk.quote(bid, bid + 10)
    book = desk.account.book
    rows = desk.account.ledger.rows
    assert [int(row["id"]) for row in rows] == list(range(1, len(rows) + 1))
    earned = sum((Decimal(row["pl"]) for row in rows if row["type"] == "ORDER_FILL"), Decimal(0))
    assert book.balance == Decimal(100_000) + earned
    assert set(book.pending) == {o.id for o in book.orders.values() if o.state == "PENDING"}
    for trade in book.open_trades.values():
        assert trade.units
        assert all(book.orders[number].state == "PENDING" for number in trade.dependents.values())
    for order in book.pending.values():
        assert order.trade_id is None or order.trade_id in book.open_trades


@given(scalars)
def test_decimals_are_exact_or_refused(value: object) -> None:
    try:
        found = decimal({"x": value}, "x")
    except Refusal:
        return
    assert found is None or found == Decimal(str(value).strip())


@given(st.text(max_size=40))
def test_instants_and_numbers_are_parsed_or_refused(text: str) -> None:
    for parse in (parse_instant, whole):
        with suppress(Refusal):
            assert isinstance(parse(text, "x"), int)


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("2014-05-01T00:00:00Z", 1_398_902_400_000_000_000),
        ("2014-05-01T00:00:00.5Z", 1_398_902_400_500_000_000),
        ("2014-05-01T00:00:00+00:00", 1_398_902_400_000_000_000),
        ("1398902400.5", 1_398_902_400_500_000_000),
        ("1398902400", 1_398_902_400_000_000_000),
    ],
)
def test_instants_as_clients_spell_them(text: str, nanos: int) -> None:
    assert parse_instant(text, "x") == nanos
