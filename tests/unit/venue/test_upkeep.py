"""Margin, close-out, financing, conversion, hedging and market hours."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from sepd.domain.market import Instrument
from sepd.domain.time import parse_time
from sepd.errors import ConfigError
from sepd.market.calendar import load_calendar
from sepd.venue import views, views_market
from sepd.venue.config import FinancingRates, VenueConfig, load_rules
from sepd.venue.engine import Engine
from sepd.venue.faults import FaultScript
from sepd.venue.valuation import value
from tests.support.desk import EUR_USD, Desk, make_desk

USD_JPY = Instrument("USD_JPY", display_precision=3, pip_location=-2)
EUR_GBP = Instrument("EUR_GBP")
GBP_USD = Instrument("GBP_USD")
RATES = FinancingRates(Decimal("-0.0175"), Decimal("0.0021"))


def open_position(desk: Desk, instrument: str, units: str) -> dict[str, object]:
    """The fill of a market order."""
    outcome = desk.place(type="MARKET", instrument=instrument, units=units)
    return outcome.rows["orderFillTransaction"]


def test_margin_follows_the_recorded_arithmetic(desk: Desk) -> None:
    desk.order("100000")
    desk.quote(109_800, 109_820)
    worth = value(desk.account)
    assert worth.unrealized_pl == Decimal("-210.0000")
    assert worth.nav == Decimal("99790.0000")
    assert worth.position_value == Decimal("109810.0000")
    assert worth.margin_used == Decimal("2196.2000")
    assert worth.margin_available == worth.nav - worth.margin_used
    assert worth.closeout_nav == Decimal("99800.0000")
    assert worth.call_percent == worth.margin_used / worth.closeout_nav
    view = views.account_summary(desk.account)
    assert Decimal(view["marginCloseoutPercent"]) * 2 == pytest.approx(
        Decimal(view["marginCallPercent"]), abs=Decimal("0.00002")
    )


def test_a_margin_call_is_entered_and_left() -> None:
    desk = make_desk(VenueConfig(balance=Decimal(2_300)))
    desk.order("100000")
    desk.quote(109_880, 109_890)
    desk.quote(109_870, 109_880)
    assert desk.rows(4) == [("MARGIN_CALL_ENTER", "")]
    assert "marginCallEnterTime" in views.account_summary(desk.account)
    desk.quote(110_500, 110_510)
    assert desk.rows(5) == [("MARGIN_CALL_EXIT", "")]


def test_at_the_close_out_level_every_trade_is_closed() -> None:
    desk = make_desk(VenueConfig(balance=Decimal(2_300)))
    desk.order("100000", takeProfitOnFill={"price": "1.2"})
    desk.quote(108_700, 108_710)
    assert desk.rows(5) == [
        ("MARGIN_CALL_ENTER", ""),
        ("MARKET_ORDER", "MARGIN_CLOSEOUT"),
        ("ORDER_FILL", "MARKET_ORDER_MARGIN_CLOSEOUT"),
        ("ORDER_CANCEL", "LINKED_TRADE_CLOSED"),
        ("MARGIN_CALL_EXIT", ""),
    ]
    order = desk.account.ledger.rows[6]
    assert order["marginCloseout"] == {"reason": "MARGIN_CHECK_VIOLATION"}
    assert not desk.account.book.open_trades


def test_the_accounts_own_margin_rate_counts_where_it_asks_for_more(desk: Desk) -> None:
    assert "marginRate" not in views.account_summary(desk.account)
    desk.engine.configure(None, Decimal("0.1"))
    desk.order("1000")
    assert value(desk.account).margin_used == Decimal("110.0050")
    assert views.account_summary(desk.account)["marginRate"] == "0.1"
    assert desk.engine.configure(None, Decimal(2)).rejected == "MARGIN_RATE_INVALID"


@pytest.mark.parametrize(
    ("units", "days", "charged"),
    [
        # 100000 × −0.0175 ÷ 365 × 1.10005 × 1.01 = −5.3270 a day, three times on Wednesday.
        ("100000", 1, "-5.3270"),
        ("100000", 3, "-15.9809"),
        # 100000 × 0.0021 ÷ 365 × 1.10005 × 0.99 = 0.6266
        ("-100000", 1, "0.6266"),
    ],
)
def test_financing_is_charged_at_five_in_new_york(units: str, days: int, charged: str) -> None:
    config = VenueConfig(financing={"EUR_USD": RATES})
    desk = make_desk(config)
    # The desk opens on Tuesday 2014-05-13.
    if days == 3:
        desk.engine.on_time(parse_time("2014-05-13T21:00:00Z"))
    desk.order(units)
    before = desk.account.book.balance
    roll = "2014-05-13" if days == 1 else "2014-05-14"
    desk.engine.on_time(parse_time(f"{roll}T22:00:00Z"))
    row = desk.account.ledger.rows[-1]
    assert (row["type"], row["time"]) == ("DAILY_FINANCING", f"{roll}T21:00:00.000000000Z")
    assert row["financing"] == charged
    trades = row["positionFinancings"][0]["openTradeFinancings"]
    assert trades == [{"tradeID": "4", "financing": charged}]
    assert desk.account.book.balance == before + Decimal(charged)
    assert desk.account.book.trades[4].financing == Decimal(charged)
    assert row["accountBalance"] == f"{desk.account.book.balance:.4f}"


def test_no_financing_is_charged_on_days_that_charge_none() -> None:
    desk = make_desk(VenueConfig(financing={"EUR_USD": RATES}))
    desk.engine.on_time(parse_time("2014-05-16T20:00:00Z"))
    desk.quote(110_000, 110_010)
    desk.time_ns = desk.account.now_ns
    desk.order("1000")
    desk.engine.on_time(parse_time("2014-05-19T20:00:00Z"))
    times = [
        row["time"][:10] for row in desk.account.ledger.rows if row["type"] == "DAILY_FINANCING"
    ]
    assert times == ["2014-05-16"]


def test_usd_based_profit_is_converted_at_the_pairs_own_price_with_markup() -> None:
    desk = make_desk(None, USD_JPY)
    desk.quote(102_000, 102_010, "USD_JPY")
    open_position(desk, "USD_JPY", "10000")
    desk.quote(102_510, 102_520, "USD_JPY")
    assert desk.account.book.open_trades
    fill = desk.engine.close_trade("4", "ALL").rows["orderFillTransaction"]
    # 10000 × 0.5 JPY ÷ 102.515 × 0.99
    assert fill["pl"] == "48.2856"
    assert fill["gainQuoteHomeConversionFactor"] == "0.009657123348"
    factors = fill["homeConversionFactors"]
    assert set(factors) == {"gainQuoteHome", "lossQuoteHome", "gainBaseHome", "lossBaseHome"}
    assert factors["gainBaseHome"] == {"factor": "1"}


def test_a_cross_is_converted_through_the_loaded_pair_and_losses_cost_more() -> None:
    desk = make_desk(VenueConfig(conversion_markup=Decimal("0.005")), EUR_GBP, GBP_USD)
    desk.quote(85_000, 85_010, "EUR_GBP")
    rejected = desk.place(type="MARKET", instrument="EUR_GBP", units="1")
    assert rejected.rejected == "INSTRUMENT_PRICE_UNKNOWN"
    desk.quote(129_990, 130_010, "GBP_USD")
    fill = open_position(desk, "EUR_GBP", "10000")
    desk.quote(84_810, 84_820, "EUR_GBP")
    closed = desk.engine.close_trade(str(fill["id"]), "ALL").rows["orderFillTransaction"]
    # 10000 × −0.002 GBP × 1.3 × 1.005
    assert closed["pl"] == "-26.1300"
    found = views_market.home_conversions(desk.account, ["GBP", "USD", "XXX"])
    assert found[0] == {
        "currency": "GBP",
        "accountGain": "1.2935",
        "accountLoss": "1.3065",
        "positionValue": "1.3",
    }
    assert [item["currency"] for item in found] == ["GBP", "USD"]


def test_hedging_keeps_both_sides_and_margin_follows_the_larger() -> None:
    desk = make_desk(VenueConfig(hedging=True))
    desk.order("1000")
    fill = desk.order("-400").rows["orderFillTransaction"]
    assert "tradeOpened" in fill
    assert len(desk.account.book.open_trades) == 2
    assert value(desk.account).margin_used == Decimal("22.0010")
    view = views.position_view(desk.account, "EUR_USD")
    assert (view["long"]["units"], view["short"]["units"]) == ("1000", "-400")
    reduced = desk.order("-100", positionFill="REDUCE_FIRST").rows["orderFillTransaction"]
    assert reduced["tradeReduced"]["tradeID"] == "4"


def closed_desk() -> Desk:
    """A desk that trades on the calendar: the last quote is before Friday's close."""
    engine = Engine((EUR_USD,), None, parse_time("2023-05-05T20:50:00Z"), load_calendar())
    desk = Desk(engine)
    desk.quote(110_000, 110_010)
    return desk


def test_while_the_market_is_closed_nothing_fills_but_orders_may_rest() -> None:
    desk = closed_desk()
    desk.order("1000", stopLossOnFill={"price": "1.09"})
    desk.engine.on_time(parse_time("2023-05-06T12:00:00Z"))
    outcome = desk.order("1000")
    assert outcome.rows["orderCancelTransaction"]["reason"] == "MARKET_HALTED"
    outcome = desk.engine.close_trade("4", "ALL")
    assert outcome.rows["orderCancelTransaction"]["reason"] == "MARKET_HALTED"
    assert list(desk.order("10", "LIMIT", price="1.2").rows) == ["orderCreateTransaction"]
    view = views_market.price_view(desk.account, desk.account.market.quotes["EUR_USD"])
    assert (view["tradeable"], view["status"]) == (False, "non-tradeable")


def test_the_reopening_gap_fills_stops_at_the_gapped_price() -> None:
    desk = closed_desk()
    desk.order("1000", stopLossOnFill={"price": "1.09"})
    desk.time_ns = parse_time("2023-05-07T21:05:00Z")
    desk.quote(108_000, 108_100)
    row = desk.account.ledger.rows[-1]
    assert (row["type"], row["price"]) == ("ORDER_FILL", "1.08000")


def test_units_available_are_what_the_margin_carries(desk: Desk) -> None:
    available = views_market.units_available(desk.account, "EUR_USD")
    assert available["default"]["long"] == str(int(100_000 / (1.10005 * 0.02)))
    desk.order("1000")
    assert views_market.units_available(desk.account, "EUR_USD")["reduceOnly"]["short"] == "1000"


def test_rules_are_read_and_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('hedging = true\nbalance = "5"\n[financing.EUR_USD]\nlong_rate = "-0.01"\n')
    rules = load_rules(file, token="t")
    assert (rules.hedging, rules.balance, rules.token) == (True, Decimal(5), "t")
    assert rules.financing["EUR_USD"].long_rate == Decimal("-0.01")
    file.write_text("hedgin = true\n")
    with pytest.raises(ConfigError, match="hedgin"):
        load_rules(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_rules(file.with_name("missing.toml"))


@pytest.mark.parametrize(
    ("exit_bid", "pl"),
    # Published replies of an account in EUR: 100 EUR_USD bought at 1.09448, before mark-ups.
    [(109_289, "-0.1455"), (109_346, "-0.0933")],
)
def test_the_published_profit_of_an_account_in_euro(exit_bid: int, pl: str) -> None:
    desk = make_desk(VenueConfig(home_currency="EUR", conversion_markup=Decimal(0)))
    desk.quote(109_433, 109_448)
    desk.order("100")
    desk.quote(exit_bid, exit_bid + 15)
    trade = desk.account.book.trades[4]
    assert views.trade_view(desk.account, trade)["unrealizedPL"] == pl
    closed = desk.engine.close_trade("4", "100").rows["orderFillTransaction"]
    assert closed["tradesClosed"][0]["realizedPL"] == closed["pl"] == pl


def test_the_examples_of_the_manual_are_read() -> None:
    text = (Path(__file__).parents[3] / "docs" / "venue.md").read_text("utf-8")
    rules, faults = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert msgspec.convert(msgspec.toml.decode(rules), VenueConfig, strict=False).user_id == 1000001
    assert msgspec.toml.decode(faults, type=FaultScript).fault[0].when == "after"
