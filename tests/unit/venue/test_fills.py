"""Market orders, what they open and close, and what that earns."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.support.desk import Desk, make_desk


def test_a_market_order_fills_at_the_ask_and_its_trade_has_the_fills_id(desk: Desk) -> None:
    outcome = desk.order("1000")
    assert list(outcome.rows) == ["orderCreateTransaction", "orderFillTransaction"]
    create, fill = outcome.rows.values()
    assert (create["id"], fill["id"], fill["orderID"]) == ("3", "4", "3")
    assert fill["batchID"] == "3"
    assert fill["price"] == "1.10010"
    assert fill["tradeOpened"]["tradeID"] == "4"
    assert fill["halfSpreadCost"] == "0.0500"
    assert fill["accountBalance"] == "100000.0000"


def test_a_short_order_fills_at_the_bid(desk: Desk) -> None:
    fill = desk.order("-1000").rows["orderFillTransaction"]
    assert fill["price"] == "1.10000"
    assert fill["tradeOpened"]["units"] == "-1000"


def test_dependents_follow_the_fill_and_are_named_only_as_related(desk: Desk) -> None:
    outcome = desk.order(
        stopLossOnFill={"price": "1.09"}, takeProfitOnFill={"price": "1.11", "timeInForce": "GTC"}
    )
    assert set(outcome.rows) == {"orderCreateTransaction", "orderFillTransaction"}
    assert outcome.related == ["3", "4", "5", "6"]
    assert desk.rows(4) == [("TAKE_PROFIT_ORDER", "ON_FILL"), ("STOP_LOSS_ORDER", "ON_FILL")]


def test_a_stop_fills_at_the_quote_that_gapped_through_it(desk: Desk) -> None:
    desk.order(stopLossOnFill={"price": "1.09500"}, takeProfitOnFill={"price": "1.11"})
    desk.quote(109_501, 109_511)
    assert len(desk.account.book.open_trades) == 1
    desk.quote(109_200, 109_210)
    fill = desk.account.ledger.rows[6]
    assert (fill["type"], fill["reason"], fill["price"]) == (
        "ORDER_FILL",
        "STOP_LOSS_ORDER",
        "1.09200",
    )
    assert fill["pl"] == "-8.1000"
    cancel = desk.account.ledger.rows[7]
    assert (cancel["type"], cancel["reason"]) == ("ORDER_CANCEL", "LINKED_TRADE_CLOSED")
    assert desk.account.book.balance == Decimal("99991.9")


def test_a_target_fills_at_its_price_or_better(desk: Desk) -> None:
    desk.order("-1000", takeProfitOnFill={"price": "1.09000"})
    desk.quote(108_991, 109_001)
    assert desk.account.book.open_trades
    desk.quote(108_900, 108_910)
    fill = desk.account.ledger.rows[5]
    assert (fill["reason"], fill["price"], fill["pl"]) == (
        "TAKE_PROFIT_ORDER",
        "1.08910",
        "10.9000",
    )


def test_a_stop_beyond_the_market_cancels_the_order_on_a_201(desk: Desk) -> None:
    outcome = desk.order(stopLossOnFill={"price": "1.10000"})
    assert outcome.rows["orderCancelTransaction"]["reason"] == "STOP_LOSS_ON_FILL_LOSS"
    outcome = desk.order(takeProfitOnFill={"price": "1.10000"})
    assert outcome.rows["orderCancelTransaction"]["reason"] == "TAKE_PROFIT_ON_FILL_LOSS"
    assert not outcome.rejected


def test_a_price_bound_that_the_quote_breaks_cancels(desk: Desk) -> None:
    outcome = desk.order(priceBound="1.10009")
    assert outcome.rows["orderCancelTransaction"]["reason"] == "BOUNDS_VIOLATION"
    assert desk.order(priceBound=1.1001).rows["orderFillTransaction"]["price"] == "1.10010"


def test_the_opposite_order_closes_the_oldest_trades_first(desk: Desk) -> None:
    desk.order("1000")
    desk.order("500")
    fill = desk.order("-1200").rows["orderFillTransaction"]
    assert [part["tradeID"] for part in fill["tradesClosed"]] == ["4"]
    assert fill["tradeReduced"]["tradeID"] == "6"
    assert fill["tradeReduced"]["units"] == "-200"
    assert "tradeOpened" not in fill
    fill = desk.order("-1000").rows["orderFillTransaction"]
    assert fill["tradesClosed"][0]["tradeID"] == "6"
    assert fill["tradeOpened"]["units"] == "-700"


def test_reduce_only_never_opens(desk: Desk) -> None:
    outcome = desk.order("100", positionFill="REDUCE_ONLY")
    assert "orderCancelTransaction" in outcome.rows
    desk.order("-1000")
    fill = desk.order("1500", positionFill="REDUCE_ONLY").rows["orderFillTransaction"]
    assert "tradeOpened" not in fill


def test_more_than_the_margin_carries_is_cancelled(desk: Desk) -> None:
    outcome = desk.order("5000000")
    assert outcome.rows["orderCancelTransaction"]["reason"] == "INSUFFICIENT_MARGIN"


def test_duplicate_client_ids_of_market_orders_fill_twice(desk: Desk) -> None:
    for _ in range(2):
        outcome = desk.order(clientExtensions={"id": "same"})
        assert outcome.rows["orderCreateTransaction"]["clientExtensions"] == {"id": "same"}
        assert outcome.rows["orderFillTransaction"]["clientOrderID"] == "same"
    assert len(desk.account.book.open_trades) == 2


def test_a_client_trade_id_guards_open_trades(desk: Desk) -> None:
    desk.order(tradeClientExtensions={"id": "t"})
    outcome = desk.order(tradeClientExtensions={"id": "t"})
    assert outcome.rejected == "CLIENT_TRADE_ID_ALREADY_EXISTS"
    desk.engine.close_trade("@t", "ALL")
    assert "orderFillTransaction" in desk.order(tradeClientExtensions={"id": "t"}).rows


def test_a_rejected_order_uses_up_one_id(desk: Desk) -> None:
    outcome = desk.order("0")
    assert outcome.rejected == "UNITS_INVALID"
    assert outcome.related == ["3"]
    assert desk.rows(2) == [("MARKET_ORDER_REJECT", "UNITS_INVALID")]


def test_closing_a_trade_in_parts_and_wholly(desk: Desk) -> None:
    desk.order("1000")
    desk.quote(110_110, 110_120)
    part = desk.engine.close_trade("4", "400").rows
    assert part["orderCreateTransaction"]["tradeClose"] == {"tradeID": "4", "units": "400"}
    assert part["orderFillTransaction"]["reason"] == "MARKET_ORDER_TRADE_CLOSE"
    assert part["orderFillTransaction"]["tradeReduced"]["realizedPL"] == "0.4000"
    assert desk.engine.close_trade("4", "700").rejected == "CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE"
    whole = desk.engine.close_trade("4", "ALL").rows["orderFillTransaction"]
    assert whole["tradesClosed"][0]["units"] == "-600"
    assert desk.engine.close_trade("4", "ALL").rejected == "TRADE_DOESNT_EXIST"


def test_closing_an_absent_side_fails_the_whole_close(desk: Desk) -> None:
    desk.order("1000")
    outcome = desk.engine.close_position("EUR_USD", {"long": ("ALL", None), "short": ("ALL", None)})
    assert outcome.rejected == "CLOSEOUT_POSITION_DOESNT_EXIST"
    assert list(outcome.rows) == ["shortOrderRejectTransaction"]
    outcome = desk.engine.close_position(
        "EUR_USD", {"long": ("ALL", None), "short": ("NONE", None)}
    )
    assert outcome.rows["longOrderCreateTransaction"]["longPositionCloseout"] == {
        "instrument": "EUR_USD",
        "units": "ALL",
    }
    assert outcome.rows["longOrderFillTransaction"]["reason"] == "MARKET_ORDER_POSITION_CLOSEOUT"


@given(
    st.lists(
        st.tuples(st.integers(-5_000, 5_000), st.integers(105_000, 115_000), st.integers(0, 30)),
        min_size=1,
        max_size=30,
    )
)
def test_the_balance_is_the_deposit_and_the_pl_of_every_fill(
    steps: list[tuple[int, int, int]],
) -> None:
    desk = make_desk()
    for units, bid, spread in steps:
        desk.quote(bid, bid + spread)
        desk.order(str(units))
    fills = [row for row in desk.account.ledger.rows if row["type"] == "ORDER_FILL"]
    earned = sum((Decimal(row["pl"]) for row in fills), Decimal(0))
    assert desk.account.book.balance == Decimal(100_000) + earned
    held = sum((trade.units for trade in desk.account.book.open_trades.values()), Decimal(0))
    assert held == sum((Decimal(row["units"]) for row in fills), Decimal(0))
    ids = [int(row["id"]) for row in desk.account.ledger.rows]
    assert ids == list(range(1, len(ids) + 1))
