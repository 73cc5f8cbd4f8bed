"""Money of one currency in the home currency, always on the cautious side."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from sepd.domain.market import Instrument, Quote

ONE = Decimal(1)


def home_range(
    currency: str,
    home: str,
    quotes: Mapping[str, Quote],
    instruments: Mapping[str, Instrument],
    not_before_ns: int,
) -> tuple[Decimal, Decimal] | None:
    """What one unit of `currency` is worth in `home`: (least, most).

    Taken from the pair of the two currencies, whichever way round it is quoted. None where no
    such pair has an uncrossed quote of `not_before_ns` or later: the caller must refuse.
    """
    if currency == home:
        return ONE, ONE
    direct = _usable(f"{currency}_{home}", quotes, not_before_ns)
    if direct:
        point = instruments[direct.instrument].point
        return direct.bid * point, direct.ask * point
    inverse = _usable(f"{home}_{currency}", quotes, not_before_ns)
    if inverse:
        point = instruments[inverse.instrument].point
        return ONE / (inverse.ask * point), ONE / (inverse.bid * point)
    return None


def _usable(name: str, quotes: Mapping[str, Quote], not_before_ns: int) -> Quote | None:
    quote = quotes.get(name)
    if quote is None or quote.time_ns < not_before_ns or not 0 < quote.bid <= quote.ask:
        return None
    return quote
