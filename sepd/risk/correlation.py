"""Which positions move together, and how far prices move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import combinations, pairwise
from statistics import StatisticsError, correlation

from sepd.domain.market import Candle, Instrument

ZERO = Decimal(0)


def correlations(closes: Mapping[str, Sequence[int]]) -> dict[frozenset[str], Decimal]:
    """Pearson correlation of the returns of every two pairs, to four decimals.

    Args:
        closes: closing prices per pair, oldest first, of the same instants for all. Pairs that
            did not move have no correlation and are left out.
    """
    returns = {
        name: [(after - before) / before for before, after in pairwise(prices)]
        for name, prices in closes.items()
    }
    found = {}
    for one, other in combinations(sorted(returns), 2):
        try:
            value = correlation(returns[one], returns[other])
        except StatisticsError:
            continue
        found[frozenset((one, other))] = Decimal(value).quantize(Decimal("0.0001"))
    return found


def together(
    one: Instrument, other: Instrument, measured: Mapping[frozenset[str], Decimal]
) -> Decimal:
    """Correlation of two pairs in −1 … 1: measured, or else what their currencies say.

    Unmeasured, pairs that share a currency count as moving together fully, in the same direction
    where it stands on the same side and in opposite ones where it does not.
    """
    if one.name == other.name:
        return Decimal(1)
    known = measured.get(frozenset((one.name, other.name)))
    if known is not None:
        return known
    same = (one.base == other.base) + (one.quote == other.quote)
    opposite = (one.base == other.quote) + (one.quote == other.base)
    return Decimal((same > opposite) - (same < opposite))


def mean_true_range(candles: Sequence[Candle]) -> int:
    """Mean true range of consecutive candles in points of the bid, rounded up; 0 for fewer than 2.

    The true range of a candle reaches from its high or the close before, whichever is higher, to
    its low or the close before (Wilder 1978).
    """
    ranges = [
        max(candle.bid_high, before.bid_close) - min(candle.bid_low, before.bid_close)
        for before, candle in pairwise(candles)
    ]
    return -(-sum(ranges) // len(ranges)) if ranges else 0
