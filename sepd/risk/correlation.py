"""Which positions move together, and how far prices move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import combinations, pairwise
from statistics import StatisticsError, correlation

from sepd.domain.market import Candle, Granularity, Instrument

HOUR_NS = 3_600 * 1_000_000_000
Past = Mapping[str, Mapping[int, int]]


class Closes:
    """The newest closes of every pair, and how pairs moved together in them.

    Args:
        granularity: of the candles that are compared; others are ignored.
        candles: so many closes of a pair are kept; half as many common returns measure something.
        past: closes from before, per pair by the start of their candle.
    """

    def __init__(self, granularity: Granularity, candles: int, past: Past) -> None:
        self._granularity = granularity
        self._candles = candles
        self._closes = {name: dict(sorted(closes.items())) for name, closes in past.items()}
        newest_ns = max((time_ns for closes in past.values() for time_ns in closes), default=0)
        self._hour = newest_ns // HOUR_NS

    def add(self, candles: Sequence[Candle]) -> bool:
        """Take candles; True with the first of an hour: measure anew."""
        before = self._hour
        for candle in candles:
            if candle.granularity is self._granularity:
                self._keep(candle)
                self._hour = max(self._hour, candle.time_ns // HOUR_NS)
        return self._hour > before

    def measure(self) -> dict[frozenset[str], Decimal]:
        """Correlation of every two pairs that have enough returns in common."""
        return correlations(self._closes, self._granularity.ns, self._candles // 2)

    def _keep(self, candle: Candle) -> None:
        closes = self._closes.setdefault(candle.instrument, {})
        overtaken = candle.time_ns < next(reversed(closes), 0)
        closes[candle.time_ns] = candle.close2
        if overtaken:  # a correction, or a hole that is filled
            closes = self._closes[candle.instrument] = dict(sorted(closes.items()))
        if len(closes) > self._candles:
            del closes[next(iter(closes))]


def correlations(closes: Past, step_ns: int, fewest: int) -> dict[frozenset[str], Decimal]:
    """Pearson correlation of the returns of every two pairs, to four decimals.

    Args:
        closes: closing prices per pair by the start of their candle, ns.
        step_ns: length of a candle; a return is between two that follow each other.
        fewest: pairs with fewer common returns are left out, as are those that did not move.
    """
    if len(closes) < 2:
        return {}
    returns = {
        name: {
            time_ns: (price - prices[time_ns - step_ns]) / prices[time_ns - step_ns]
            for time_ns, price in prices.items()
            if time_ns - step_ns in prices
        }
        for name, prices in closes.items()
    }
    found = {}
    for one, other in combinations(sorted(returns), 2):
        common = sorted(returns[one].keys() & returns[other].keys())
        if len(common) < max(fewest, 2):
            continue
        try:
            value = correlation(
                [returns[one][time_ns] for time_ns in common],
                [returns[other][time_ns] for time_ns in common],
            )
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
