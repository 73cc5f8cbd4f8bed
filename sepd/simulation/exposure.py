"""What several positions add up to, computed apart from the risk gate.

The prices that a process knew when it decided are known to lie in a span, not exactly. So
exposure is the least, and equity the most, that any prices of the span make of the positions:
what is past a limit even so was past it for the process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec import Struct

from sepd.domain.market import Instrument
from sepd.settings import RiskSettings
from sepd.simulation.prices import HOME

ZERO = Decimal(0)


class Holding(Struct, frozen=True):
    """Units of a pair, long or short, whose bid is at least `low` and whose ask at most `high`.

    `opened` is the price of a trade that is open; None of an order that is not filled yet.
    """

    pair: Instrument
    units: Decimal
    low: Decimal
    high: Decimal
    opened: Decimal | None = None

    @property
    def worth(self) -> tuple[Decimal, Decimal]:
        """Least and most that all units are worth in home currency, without sign."""
        size = abs(self.units)
        return (size, size) if self.pair.base == HOME else (size * self.low, size * self.high)

    @property
    def result(self) -> Decimal:
        """The best that the trade earns, in home currency."""
        if self.opened is None:
            return ZERO
        points = self.high - self.opened if self.units > 0 else self.low - self.opened
        earned = points * self.units
        if self.pair.quote == HOME:
            return earned
        return earned / (self.low if earned > 0 else self.high)


class Exposure(Struct, frozen=True):
    """The least that holdings are worth in home currency: all, of the largest currency, netted."""

    gross: Decimal
    largest: Decimal
    net: Decimal
    margin: Decimal


def exposure(holdings: Iterable[Holding]) -> Exposure:
    """Add up holdings: a pair is its base held and its quote owed."""
    gross = margin = ZERO
    low: defaultdict[str, Decimal] = defaultdict(Decimal)
    high: defaultdict[str, Decimal] = defaultdict(Decimal)
    for holding in holdings:
        least, most = holding.worth
        gross += least
        margin += least * holding.pair.margin_rate
        long, short = holding.pair.base, holding.pair.quote
        if holding.units < 0:
            long, short = short, long
        low[long] += least
        high[long] += most
        low[short] -= most
        high[short] -= least
    legs = [max(low[currency], -high[currency], ZERO) for currency in low]
    return Exposure(gross, max(legs, default=ZERO), sum(legs, ZERO) / 2, margin)


def equity(balance: Decimal, holdings: Iterable[Holding]) -> Decimal:
    """The most that the account is worth with what is open."""
    return balance + sum((holding.result for holding in holdings), ZERO)


def too_much(
    holdings: Sequence[Holding], balance: Decimal, limits: RiskSettings, slack: Decimal
) -> str:
    """Which limits of exposure are passed by more than `slack` times; empty if none is."""
    held, room = exposure(holdings), equity(balance, holdings) * slack
    found = (
        ("a gross exposure", held.gross, limits.max_gross_leverage),
        ("a net exposure", held.net, limits.max_net_leverage),
        ("an exposure in one currency", held.largest, limits.max_currency_leverage),
        ("a margin", held.margin, limits.max_margin_use),
    )
    return ", ".join(
        f"{what} of {value:.2f} with {room:.2f}"
        for what, value, limit in found
        if value > limit * room
    )


def correlated(one: Holding, others: Iterable[Holding]) -> int:
    """How many of `others` move with `one`, told by the currencies that their pairs share."""
    return sum(_together(one, other) * one.units * other.units > 0 for other in others)


def _together(one: Holding, other: Holding) -> int:
    """Direction in which the second pair moves when the first one rises; 0: its own."""
    same = (one.pair.base == other.pair.base) + (one.pair.quote == other.pair.quote)
    opposite = (one.pair.base == other.pair.quote) + (one.pair.quote == other.pair.base)
    return (same > opposite) - (same < opposite)
