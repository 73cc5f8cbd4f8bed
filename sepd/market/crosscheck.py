"""Our candles against the broker's own complete ones: the broker's win.

The price stream carries at most four prices a second, so ours may lack an extreme. Volumes are
not compared: the broker counts ticks that the stream does not carry.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from sepd.domain.market import Candle
from sepd.market.candles import CandleBuilder

PRICE_FIELDS = tuple(name for name in Candle.__struct_fields__ if name.startswith(("bid", "ask")))


class Agreement(StrEnum):
    """How a candle of ours compares with the broker's."""

    SAME = "same"
    DIFFERENT = "different"
    ABSENT = "absent"


class Check(Struct, frozen=True):
    """One comparison.

    `differing` names the prices that differ; `revised` are the coarser candles as they are with
    the broker's, whether handed out before with other prices or complete only by it.
    """

    agreement: Agreement
    differing: tuple[str, ...] = ()
    revised: tuple[Candle, ...] = ()


class CrossCheck:
    """Compares base candles at each close and puts the broker's in place.

    Args:
        builder: made ours.

    Attributes:
        counts: comparisons by agreement.
    """

    def __init__(self, builder: CandleBuilder) -> None:
        self._builder = builder
        self.counts: Counter[Agreement] = Counter()

    def compare(self, theirs: Candle) -> Check:
        """Compare the broker's complete candle with ours; on a difference the broker's stays.

        Raises:
            ValueError: it is not a base candle of the builder's instrument.
        """
        ours = self._builder.base_candle(theirs.time_ns)
        if ours is None:
            check = Check(Agreement.ABSENT, revised=tuple(self._builder.preload([theirs])))
        elif differing := differing_prices(ours, theirs):
            revised = tuple(self._builder.correct(theirs))
            check = Check(Agreement.DIFFERENT, differing, revised)
        else:
            check = Check(Agreement.SAME)
        self.counts[check.agreement] += 1
        return check


def differing_prices(ours: Candle, theirs: Candle) -> tuple[str, ...]:
    """Names of the prices in which two candles differ."""
    return tuple(name for name in PRICE_FIELDS if getattr(ours, name) != getattr(theirs, name))


def corrected(series: Sequence[Candle], theirs: Candle) -> tuple[Candle, ...]:
    """A series in time order with `theirs` in its place; what follows is rebuilt from it."""
    place = bisect_left(series, theirs.time_ns, key=lambda candle: candle.time_ns)
    after = place + (place < len(series) and series[place].time_ns == theirs.time_ns)
    return (*series[:place], theirs, *series[after:])
