"""Home money is counted on the cautious side, or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.market import Quote
from sepd.risk.exposure import Valuation
from sepd.risk.rates import home_range
from tests.support.gate import INSTRUMENTS, held, make_book
from tests.support.trading import NOON, quote

POINTS = st.integers(1, 10**7)


def quoted(*quotes: Quote) -> dict[str, Quote]:
    return {one.instrument: one for one in quotes}


def test_the_home_currency_is_worth_itself() -> None:
    assert home_range("GBP", "GBP", {}, {}, NOON) == (Decimal(1), Decimal(1))


def test_a_pair_is_read_either_way_round() -> None:
    usd = quoted(quote("GBP_USD", 125_000, 128_000))
    assert home_range("USD", "GBP", usd, INSTRUMENTS, NOON) == (Decimal("0.78125"), Decimal("0.8"))
    eur = quoted(quote("EUR_GBP", 88_000, 89_000))
    assert home_range("EUR", "GBP", eur, INSTRUMENTS, NOON) == (Decimal("0.88"), Decimal("0.89"))


def test_points_are_the_pairs_own() -> None:
    yen = quoted(quote("USD_JPY", 100_000, 125_000))
    assert home_range("JPY", "USD", yen, INSTRUMENTS, NOON) == (Decimal("0.008"), Decimal("0.01"))


@given(POINTS, POINTS)
def test_the_least_is_never_above_the_most(bid: int, ask: int) -> None:
    for name, currency in (("GBP_USD", "USD"), ("EUR_GBP", "EUR")):
        found = home_range(currency, "GBP", quoted(quote(name, bid, ask)), INSTRUMENTS, NOON)
        assert (found is None) == (bid > ask)
        assert found is None or 0 < found[0] <= found[1]


@pytest.mark.parametrize(
    "bad", [quote("GBP_USD", 0, 1), quote("GBP_USD", 3, 2), quote("GBP_USD", 1, 2, NOON - 1)]
)
def test_no_number_is_made_of_a_bad_or_old_quote(bad: Quote) -> None:
    assert home_range("USD", "GBP", quoted(bad), INSTRUMENTS, NOON) is None


def test_a_position_that_cannot_be_valued_makes_everything_unknown() -> None:
    book = make_book(held("USD_JPY"))
    worth = Valuation(book, NOON, Decimal(0))
    assert worth.equity() is None
    assert worth.at_stops() is None
    del book.quotes["GBP_USD"]
    assert Valuation(book, NOON, Decimal(0)).exposure() is None
