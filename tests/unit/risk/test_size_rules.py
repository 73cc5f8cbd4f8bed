"""Every rule on size: under its limit, at it, and past it. Home is GBP, quotes are in USD."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from sepd.risk.book import Book
from sepd.risk.reason import Reason
from tests.support.gate import INSTRUMENTS, held, limits, make_book, seconds, verdict
from tests.support.trading import NOON, make_entry, make_signal, quote

OK = Reason.ACCEPTED


@pytest.mark.parametrize(
    ("bid", "wanted"), [(109_702, OK), (109_701, OK), (109_700, Reason.STOP_INSIDE_SPREAD)]
)
def test_a_stop_must_not_be_hit_at_once(bid: int, wanted: Reason) -> None:
    book = make_book()
    book.quotes["EUR_USD"] = quote("EUR_USD", bid, 110_000)
    assert verdict(book, limits(max_spread_pips=50)) is wanted


@pytest.mark.parametrize(
    ("stop_pips", "wanted"),
    [(10_998, OK), (11_000, Reason.INVALID_STOP), (11_001, Reason.INVALID_STOP)],
)
def test_a_stop_must_be_a_price(stop_pips: str, wanted: Reason) -> None:
    assert verdict(make_book(), limits(stop_pips=stop_pips)) is wanted


@pytest.mark.parametrize(
    ("units", "wanted"),
    [("1", OK), ("0.9", Reason.TOO_SMALL), ("1.9", OK), ("-5", Reason.TOO_SMALL)],
)
def test_the_broker_has_a_smallest_size(units: str, wanted: Reason) -> None:
    assert verdict(make_book(), units=Decimal(units)) is wanted


def test_too_little_money_for_the_smallest_size_is_refused() -> None:
    assert verdict(make_book(balance=1)) is OK
    book = make_book(balance=1)
    book.balance = Decimal("0.3199")
    assert verdict(book) is Reason.TOO_SMALL


@pytest.mark.parametrize(
    ("units", "wanted"),
    [(99_999, OK), (100_000, OK), (100_001, Reason.TOO_MANY_UNITS)],
)
def test_an_order_may_have_so_many_units(units: int, wanted: Reason) -> None:
    capped = limits(max_units=100_000)
    assert verdict(make_book(), capped, units=Decimal(units)) is wanted


@pytest.mark.parametrize(
    ("units", "wanted"), [(8_999, OK), (9_000, OK), (9_001, Reason.POSITION_SIZE)]
)
def test_the_broker_may_bound_a_position(units: int, wanted: Reason) -> None:
    pair = msgspec.structs.replace(INSTRUMENTS["EUR_USD"], maximum_position_size=Decimal(10_000))
    book = make_book(held(units=1_000))
    book.instruments = {**INSTRUMENTS, "EUR_USD": pair}
    assert verdict(book, units=Decimal(units)) is wanted


@pytest.mark.parametrize(
    ("units", "wanted"), [(99_999, OK), (100_000, OK), (100_001, Reason.NOTIONAL)]
)
def test_notional_is_counted_in_home_currency(units: int, wanted: Reason) -> None:
    assert verdict(make_book(), limits(max_notional=88_000), units=Decimal(units)) is wanted


def _exposed(rule: str, leverage: str, book: Book, units: int) -> Reason:
    return verdict(book, limits(**{rule: Decimal(leverage)}), units=Decimal(units))


@pytest.mark.parametrize(
    ("units", "wanted"), [(99_999, OK), (100_000, OK), (100_001, Reason.GROSS_EXPOSURE)]
)
def test_gross_exposure_counts_every_position(units: int, wanted: Reason) -> None:
    # 80,000 GBP held in USD_CHF at no profit, 88,000 to come: 1.68 times the equity
    book = make_book(held("USD_CHF", units=100_000, price=100_000))
    assert _exposed("max_gross_leverage", "1.68", book, units) is wanted


@pytest.mark.parametrize(
    ("units", "wanted"), [(99_999, OK), (100_000, OK), (100_001, Reason.CURRENCY_EXPOSURE)]
)
def test_one_currency_is_bounded(units: int, wanted: Reason) -> None:
    # long 88,000 GBP of EUR; its USD nets with the 80,000 held long in USD_CHF
    book = make_book(held("USD_CHF", units=100_000, price=100_000))
    assert _exposed("max_currency_leverage", "0.88", book, units) is wanted


@pytest.mark.parametrize(
    ("units", "wanted"), [(99_999, OK), (100_000, OK), (100_001, Reason.NET_EXPOSURE)]
)
def test_net_exposure_nets_currency_against_currency(units: int, wanted: Reason) -> None:
    # EUR +88,000, USD −8,000, CHF −80,000: 88,000 GBP stand against each other
    book = make_book(held("USD_CHF", units=100_000, price=100_000))
    assert _exposed("max_net_leverage", "0.88", book, units) is wanted


def test_selling_the_franc_pair_doubles_the_dollar_instead_of_netting_it() -> None:
    book = make_book(held("USD_CHF", units=-100_000, price=100_000))
    assert _exposed("max_currency_leverage", "1.67", book, 100_000) is Reason.CURRENCY_EXPOSURE
    assert _exposed("max_currency_leverage", "1.68", book, 100_000) is OK


def test_an_intent_on_its_way_is_exposure() -> None:
    book = make_book()
    book.reserve(make_entry(make_signal(2), units=100_000))
    assert _exposed("max_gross_leverage", "1.75", book, 100_000) is Reason.GROSS_EXPOSURE
    assert _exposed("max_gross_leverage", "1.76", book, 100_000) is OK


@pytest.mark.parametrize(
    ("units", "wanted"), [(62_499, OK), (62_500, OK), (62_501, Reason.DAILY_LOSS)]
)
def test_the_daily_loss_holds_even_if_all_is_stopped(units: int, wanted: Reason) -> None:
    # held: 100,000 units, 300 points, 240 GBP at the stop; to come: 400 points, 0.0032 GBP each
    book = make_book(held(units=100_000))
    book.quotes["EUR_USD"] = quote("EUR_USD", 110_000, 110_000)
    assert verdict(book, limits(max_daily_loss=Decimal("0.0044")), units=Decimal(units)) is wanted


@pytest.mark.parametrize(
    ("units", "wanted"), [(62_499, OK), (62_500, OK), (62_501, Reason.DRAWDOWN)]
)
def test_the_drawdown_holds_even_if_all_is_stopped(units: int, wanted: Reason) -> None:
    book = make_book(held(units=100_000))
    book.quotes["EUR_USD"] = quote("EUR_USD", 110_000, 110_000)
    assert verdict(book, limits(max_drawdown=Decimal("0.0044")), units=Decimal(units)) is wanted


@pytest.mark.parametrize(
    ("units", "wanted"), [(99_999, OK), (100_000, OK), (100_001, Reason.INSUFFICIENT_MARGIN)]
)
def test_margin_is_a_bounded_part_of_the_equity(units: int, wanted: Reason) -> None:
    # 2 % of 88,000 GBP
    bound = limits(max_margin_use=Decimal("0.0176"))
    assert verdict(make_book(), bound, units=Decimal(units)) is wanted


def test_equity_and_not_balance_bears_the_margin() -> None:
    losing = make_book(held(units=100_000, price=110_500))
    # 510 points lost on 100,000 units: 408 GBP; margin of 200,000 EUR: 3,520 GBP
    bound = limits(max_margin_use=Decimal(3_520) / Decimal(99_592))
    assert verdict(losing, bound, units=Decimal(99_999)) is OK
    assert verdict(losing, bound, units=Decimal(100_001)) is Reason.INSUFFICIENT_MARGIN


@pytest.mark.parametrize(
    ("age_s", "wanted"), [("3600", OK), ("3600.000000001", Reason.NO_CONVERSION)]
)
def test_without_a_conversion_nothing_is_entered(age_s: str, wanted: Reason) -> None:
    now_ns = NOON + seconds(age_s)
    book = make_book()
    book.observe(quote("EUR_USD", 109_990, 110_000, now_ns))
    signal = make_signal(created_ns=now_ns)
    assert verdict(book, signal=signal, now_ns=now_ns) is wanted
