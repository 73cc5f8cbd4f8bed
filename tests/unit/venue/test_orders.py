"""Resting orders: when they fill, at what price, how long they live, and how they change."""

from __future__ import annotations

import pytest

from sepd.domain.time import NS_PER_S, format_time, parse_time
from sepd.venue.config import VenueConfig
from sepd.venue.requests import parse_details, parse_order
from tests.support.desk import Desk, make_desk


def last(desk: Desk) -> tuple[str, str, str]:
    """Type, reason and price of the newest transaction."""
    row = desk.account.ledger.rows[-1]
    return row["type"], row.get("reason", ""), row.get("price", "")


@pytest.mark.parametrize(
    ("kind", "units", "price", "quiet", "hit", "filled"),
    [
        ("LIMIT", "10", "1.09900", (109_891, 109_901), (109_880, 109_890), "1.09890"),
        ("LIMIT", "-10", "1.10100", (110_099, 110_109), (110_120, 110_130), "1.10120"),
        ("STOP", "10", "1.10100", (110_089, 110_099), (110_140, 110_150), "1.10150"),
        ("STOP", "-10", "1.09900", (109_901, 109_911), (109_700, 109_710), "1.09700"),
        ("MARKET_IF_TOUCHED", "10", "1.09900", (109_891, 109_901), (109_800, 109_810), "1.09810"),
        ("MARKET_IF_TOUCHED", "10", "1.10100", (110_089, 110_099), (110_140, 110_150), "1.10150"),
        ("MARKET_IF_TOUCHED", "-10", "1.10100", (110_099, 110_109), (110_100, 110_110), "1.10100"),
    ],
)
def test_a_resting_order_waits_for_its_price_and_fills_at_the_quote(
    desk: Desk,
    kind: str,
    units: str,
    price: str,
    quiet: tuple[int, int],
    hit: tuple[int, int],
    filled: str,
) -> None:
    outcome = desk.order(units, kind, price=price)
    assert list(outcome.rows) == ["orderCreateTransaction"]
    desk.quote(*quiet)
    assert len(desk.account.book.pending) == 1
    desk.quote(*hit)
    assert last(desk) == ("ORDER_FILL", f"{kind}_ORDER", filled)
    assert desk.account.book.orders[3].state == "FILLED"


def test_a_limit_that_the_market_has_passed_fills_at_once_at_the_better_price(desk: Desk) -> None:
    fill = desk.order("10", "LIMIT", price="1.20").rows["orderFillTransaction"]
    assert (fill["price"], fill["reason"]) == ("1.10010", "LIMIT_ORDER")


@pytest.mark.parametrize("tif", ["FOK", "IOC"])
def test_an_immediate_limit_that_cannot_fill_is_cancelled(desk: Desk, tif: str) -> None:
    outcome = desk.order("10", "LIMIT", price="1.00", timeInForce=tif)
    assert set(outcome.rows) == {"orderCreateTransaction", "orderCancelTransaction"}
    assert not desk.account.book.pending


def test_a_stop_that_gaps_past_its_bound_is_cancelled(desk: Desk) -> None:
    desk.order("10", "STOP", price="1.101", priceBound="1.102")
    desk.quote(110_300, 110_310)
    assert last(desk)[:2] == ("ORDER_CANCEL", "BOUNDS_VIOLATION")


@pytest.mark.parametrize(
    ("condition", "bid", "ask"),
    [
        ("DEFAULT", 109_000, 110_050),
        ("ASK", 109_000, 110_050),
        ("INVERSE", 110_050, 110_200),
        ("BID", 110_050, 110_200),
        ("MID", 110_040, 110_060),
    ],
)
def test_the_trigger_condition_chooses_the_price(
    desk: Desk, condition: str, bid: int, ask: int
) -> None:
    desk.order("10", "STOP", price="1.10050", triggerCondition=condition)
    side = {"INVERSE": "BID", "DEFAULT": "ASK"}.get(condition, condition)
    short = {"BID": (bid - 1, ask + 999), "ASK": (bid, ask - 1), "MID": (bid, ask - 1)}
    desk.quote(*short[side])
    assert desk.account.book.pending
    desk.quote(bid, ask)
    assert last(desk)[0] == "ORDER_FILL"


def test_a_trailing_stop_follows_and_never_goes_back(desk: Desk) -> None:
    desk.order("10", trailingStopLossOnFill={"distance": "0.001"})
    order = desk.account.book.orders[5]
    assert order.trailing == 109_900
    desk.quote(110_200, 110_210)
    assert order.trailing == 110_100
    desk.quote(110_101, 110_111)
    assert order.trailing == 110_100
    desk.quote(110_050, 110_060)
    assert last(desk) == ("ORDER_FILL", "TRAILING_STOP_LOSS_ORDER", "1.10050")


def test_a_stop_by_distance_counts_from_the_trades_price(desk: Desk) -> None:
    desk.order("10", stopLossOnFill={"distance": "0.005"})
    assert desk.account.book.orders[5].price == 109_510


def test_gtd_and_gfd_orders_expire(desk: Desk) -> None:
    end_ns = desk.time_ns + 90 * NS_PER_S
    desk.order("10", "LIMIT", price="1.0", timeInForce="GTD", gtdTime=format_time(end_ns))
    desk.order("10", "LIMIT", price="1.0", timeInForce="GFD")
    assert desk.engine.deadline == end_ns
    desk.engine.on_time(end_ns - 1)
    assert len(desk.account.book.pending) == 2
    desk.engine.on_time(end_ns)
    assert last(desk)[:2] == ("ORDER_CANCEL", "TIME_IN_FORCE_EXPIRED")
    assert desk.account.ledger.times[-1] == end_ns
    # 2014-05-13 16:53:20 UTC is a Tuesday; New York's 17:00 is 21:00 UTC in summer.
    assert desk.engine.deadline == parse_time("2014-05-13T21:00:00Z")
    desk.engine.on_time(parse_time("2014-05-14T00:00:00Z"))
    assert not desk.account.book.pending
    assert desk.account.ledger.rows[-1]["time"] == "2014-05-13T21:00:00.000000000Z"


def test_replacing_cancels_first_and_inherits_client_extensions(desk: Desk) -> None:
    desk.order("10", "LIMIT", price="1.0", clientExtensions={"id": "a"})
    body = {"type": "LIMIT", "instrument": "EUR_USD", "units": "20", "price": "1.01"}
    outcome = desk.engine.replace("@a", parse_order({"order": body}))
    assert desk.rows(3) == [
        ("ORDER_CANCEL", "CLIENT_REQUEST_REPLACED"),
        ("LIMIT_ORDER", "REPLACEMENT"),
    ]
    create = outcome.rows["orderCreateTransaction"]
    assert (create["replacesOrderID"], create["clientExtensions"]) == ("3", {"id": "a"})
    assert outcome.rows["orderCancelTransaction"]["replacedByOrderID"] == "5"
    assert create["batchID"] == "4"


def test_a_refused_replacement_leaves_the_order(desk: Desk) -> None:
    desk.order("10", "LIMIT", price="1.0")
    bad = {"type": "LIMIT", "instrument": "EUR_USD", "units": "0", "price": "1.01"}
    outcome = desk.engine.replace("3", parse_order({"order": bad}))
    assert (outcome.rejected, outcome.related) == ("UNITS_INVALID", ["4"])
    other = {"type": "STOP", "instrument": "EUR_USD", "units": "1", "price": "1.2"}
    assert desk.engine.replace("3", parse_order({"order": other})).rejected == (
        "REPLACING_ORDER_INVALID"
    )
    assert desk.account.book.orders[3].state == "PENDING"


def test_a_pending_duplicate_is_rejected_or_not_as_configured() -> None:
    for rejects in (True, False):
        desk = make_desk(VenueConfig(reject_pending_duplicates=rejects))
        for _ in range(2):
            outcome = desk.order("10", "LIMIT", price="1.0", clientExtensions={"id": "a"})
        assert outcome.rejected == ("CLIENT_ORDER_ID_ALREADY_EXISTS" if rejects else "")


def test_dependents_are_set_replaced_inherited_and_cancelled(desk: Desk) -> None:
    desk.order("10", stopLossOnFill={"price": "1.09", "clientExtensions": {"id": "sl"}})
    trade = desk.account.book.trades[4]
    details = parse_details({"timeInForce": "GFD"}, "STOP_LOSS", "stopLoss")
    outcome = desk.engine.set_dependents(trade, {"STOP_LOSS": details})
    assert list(outcome.rows) == ["stopLossOrderCancelTransaction", "stopLossOrderTransaction"]
    made = outcome.rows["stopLossOrderTransaction"]
    assert (made["price"], made["timeInForce"], made["replacesOrderID"]) == ("1.09000", "GFD", "5")
    assert made["clientExtensions"] == {"id": "sl"}
    outcome = desk.engine.set_dependents(trade, {"STOP_LOSS": None})
    assert outcome.rows["stopLossOrderCancelTransaction"]["reason"] == "CLIENT_REQUEST"
    assert trade.dependents == {}


def test_one_bad_dependent_leaves_all_as_they_were(desk: Desk) -> None:
    desk.order("10")
    trade = desk.account.book.trades[4]
    wanted = {
        "TAKE_PROFIT": parse_details({"price": "1.2"}, "TAKE_PROFIT", "takeProfit"),
        "STOP_LOSS": parse_details({"price": "1.000001"}, "STOP_LOSS", "stopLoss"),
    }
    outcome = desk.engine.set_dependents(trade, wanted)
    assert outcome.rejected == "PRICE_PRECISION_EXCEEDED"
    assert list(outcome.rows) == ["stopLossOrderRejectTransaction"]
    assert trade.dependents == {}


def test_a_losing_take_profit_is_cancelled_at_once(desk: Desk) -> None:
    desk.order("10")
    outcome = desk.place(type="TAKE_PROFIT", tradeID="4", price="1.09")
    assert outcome.rows["orderCancelTransaction"]["reason"] == "LOSING_TAKE_PROFIT"


def test_a_second_dependent_of_a_kind_is_rejected(desk: Desk) -> None:
    desk.order("10", stopLossOnFill={"price": "1.09"})
    outcome = desk.place(type="STOP_LOSS", tradeID="4", price="1.08")
    assert outcome.rejected == "STOP_LOSS_ORDER_ALREADY_EXISTS"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"units": "0.5"}, "UNITS_INVALID"),
        ({"units": "100000001"}, "UNITS_LIMIT_EXCEEDED"),
        ({"timeInForce": "GTC"}, "TIME_IN_FORCE_INVALID"),
        ({"positionFill": "ODD"}, "ORDER_FILL_POSITION_ACTION_INVALID"),
        ({"priceBound": "1.000001"}, "PRICE_BOUND_PRECISION_EXCEEDED"),
        ({"priceBound": "-1"}, "PRICE_BOUND_INVALID"),
        ({"clientExtensions": {"id": "x" * 129}}, "CLIENT_ORDER_ID_INVALID"),
        ({"clientExtensions": {"comment": "x" * 129}}, "CLIENT_ORDER_COMMENT_INVALID"),
        ({"stopLossOnFill": {"price": "1.000001"}}, "STOP_LOSS_ON_FILL_PRICE_PRECISION_EXCEEDED"),
        ({"takeProfitOnFill": {}}, "TAKE_PROFIT_ON_FILL_PRICE_MISSING"),
        ({"stopLossOnFill": {}}, "STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_MISSING"),
        (
            {"stopLossOnFill": {"price": "1", "distance": "1"}},
            "STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_SPECIFIED",
        ),
        (
            {"stopLossOnFill": {"price": "1", "guaranteed": True}},
            "STOP_LOSS_ON_FILL_GUARANTEED_NOT_ALLOWED",
        ),
        (
            {"trailingStopLossOnFill": {"distance": "0.0004"}},
            "TRAILING_STOP_LOSS_ON_FILL_PRICE_DISTANCE_MINIMUM_NOT_MET",
        ),
        (
            {"trailingStopLossOnFill": {"distance": "1.1"}},
            "TRAILING_STOP_LOSS_ON_FILL_PRICE_DISTANCE_MAXIMUM_EXCEEDED",
        ),
        (
            {"stopLossOnFill": {"price": "1", "timeInForce": "GTD"}},
            "STOP_LOSS_ON_FILL_GTD_TIMESTAMP_MISSING",
        ),
        ({"type": "LIMIT"}, "PRICE_MISSING"),
        ({"type": "LIMIT", "price": "0"}, "PRICE_INVALID"),
        ({"type": "LIMIT", "price": "1.123456"}, "PRICE_PRECISION_EXCEEDED"),
        (
            {"type": "LIMIT", "price": "1", "timeInForce": "GTD"},
            "TIME_IN_FORCE_GTD_TIMESTAMP_MISSING",
        ),
        (
            {
                "type": "LIMIT",
                "price": "1",
                "timeInForce": "GTD",
                "gtdTime": "2014-01-01T00:00:00Z",
            },
            "TIME_IN_FORCE_GTD_TIMESTAMP_IN_PAST",
        ),
        ({"type": "STOP", "price": "1", "triggerCondition": "ODD"}, "TRIGGER_CONDITION_INVALID"),
    ],
)
def test_a_broken_rule_is_the_reject_reason_and_takes_one_id(
    desk: Desk, fields: dict[str, object], reason: str
) -> None:
    outcome = desk.place(**{"type": "MARKET", "instrument": "EUR_USD", "units": "1", **fields})
    assert (outcome.rejected, outcome.related) == (reason, ["3"])
    assert outcome.rows["orderRejectTransaction"]["rejectReason"] == reason


def test_the_room_for_pending_orders_is_limited() -> None:
    desk = make_desk(VenueConfig(max_pending_orders=1))
    desk.order("1", "LIMIT", price="1")
    assert desk.order("1", "LIMIT", price="1").rejected == "PENDING_ORDERS_ALLOWED_EXCEEDED"


def test_depth_beyond_the_stated_one_does_not_fill() -> None:
    desk = make_desk(VenueConfig(liquidity=100))
    outcome = desk.order("101")
    assert outcome.rows["orderCancelTransaction"]["reason"] == "INSUFFICIENT_LIQUIDITY"
    assert desk.order("101", timeInForce="IOC").rows["orderFillTransaction"]["units"] == "100"
