"""The limits in points and nanoseconds mean what they mean in pips and seconds."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sepd.risk.book import Book
from sepd.risk.reason import Reason
from sepd.risk.terms import terms_of
from tests.support.gate import INSTRUMENTS, limits, make_book, verdict
from tests.support.trading import EUR_USD

PIPS = st.decimals(min_value="0.001", max_value=100, places=3)


@given(PIPS, st.integers(0, 1_000))
def test_points_pass_where_pips_do(pips: Decimal, points: int) -> None:
    terms = terms_of(limits(max_spread_pips=pips, price_bound_pips=pips), EUR_USD)
    passes = points <= pips * EUR_USD.points_per_pip
    assert (points <= terms.spread) is passes
    assert (points <= terms.bound) is passes


def test_other_limits_hold_at_once() -> None:
    book = make_book()
    assert verdict(book) is Reason.ACCEPTED
    assert verdict(book, limits(max_spread_pips=Decimal("0.9"))) is Reason.SPREAD_TOO_WIDE
    assert verdict(book) is Reason.ACCEPTED
    assert (
        verdict(book, limits(max_quote_age_s=1), now_ns=book.quotes["EUR_USD"].time_ns + 2 * 10**9)
        is Reason.STALE_PRICE
    )


def test_another_description_of_the_pair_holds_at_once() -> None:
    instruments = dict(INSTRUMENTS)
    book = Book("GBP", instruments, limits())
    before = book.terms("EUR_USD", book.limits)
    assert book.terms("EUR_USD", book.limits) is before
    instruments["EUR_USD"] = replace(EUR_USD, maximum_order_units=Decimal(7))
    assert book.terms("EUR_USD", book.limits).most == 7
