"""What the rules look at: a request, the book, the limits, and what follows from them."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from sepd.domain.market import Quote
from sepd.domain.signal import Signal
from sepd.risk.book import Book
from sepd.risk.exposure import Holding, Valuation, holdings
from sepd.risk.terms import Terms
from sepd.settings import RiskSettings


class EntryRequest(Struct, frozen=True, gc=False):
    """A wish to enter on a signal at `now_ns`.

    Args:
        units: unsigned size somebody asks for; None lets the gate size the trade.
        reference: price in points, on the side to enter at, that the signal was formed on.
        volatility_points: recent true range, for the floor of the stop distance.
        exit_by_ns: when the position is to be closed at the latest; 0 where nobody knows.
    """

    signal: Signal
    now_ns: int
    units: Decimal | None = None
    reference: int | None = None
    volatility_points: int = 0
    exit_by_ns: int = 0


class Standing(Struct, frozen=True, gc=False):
    """Request, book and limits: enough for the rules that do not depend on the size.

    `sign` is the direction to enter in, `held` what is held or under way (`holdings`), `terms`
    the limits of the pair.
    """

    request: EntryRequest
    book: Book
    limits: RiskSettings
    instrument: str
    sign: int
    now_ns: int
    held: list[Holding]
    terms: Terms

    @property
    def quote(self) -> Quote:
        """Newest quote of the pair to enter; the rule `NO_PRICE` stands before every use."""
        return self.book.quotes[self.instrument]


def standing_of(request: EntryRequest, book: Book, limits: RiskSettings) -> Standing:
    """How `request` stands."""
    signal = request.signal
    return Standing(
        request,
        book,
        limits,
        instrument=signal.instrument,
        sign=signal.action.sign,
        now_ns=request.now_ns,
        held=list(holdings(book)),
        terms=book.terms(signal.instrument, limits),
    )


class Proposal(Struct, frozen=True, gc=False):
    """A sized entry. `units` are signed, prices are points, `risk` is home money lost at the
    stop from the worst fill.
    """

    standing: Standing
    valuation: Valuation
    units: Decimal
    entry: int
    price_bound: int
    stop_loss: int
    take_profit: int
    risk: Decimal
