"""What the book is worth and what it can lose, in home currency, on the cautious side.

Every function answers None where a conversion it needs has no usable quote: the caller refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from sepd.domain.order import Purpose
from sepd.risk.book import Book
from sepd.risk.rates import home_range

ZERO = Decimal(0)
Holding = tuple[str, Decimal]


class Exposure(Struct, frozen=True):
    """Home values. `gross` and `margin` are without netting; `by_currency` is signed: a pair is
    long its base and short its quote.
    """

    gross: Decimal
    margin: Decimal
    by_currency: dict[str, Decimal]

    @property
    def net(self) -> Decimal:
        """What is left after netting currency against currency: half the sum of both sides."""
        return sum(map(abs, self.by_currency.values()), ZERO) / 2

    @property
    def largest(self) -> Decimal:
        """Value of the currency that is held or owed most."""
        return max(map(abs, self.by_currency.values()), default=ZERO)


class Valuation:
    """The book valued with quotes no older than `not_before_ns`; conversions carry `markup`."""

    def __init__(self, book: Book, not_before_ns: int, markup: Decimal) -> None:
        self._book = book
        self._not_before_ns = not_before_ns
        self._markup = markup
        self._values: dict[str, Decimal | None] = {}
        self._known: dict[str, tuple[Decimal, Decimal] | None] = {}

    def rate(self, currency: str) -> Decimal | None:
        """Most that one unit of `currency` may cost in home currency."""
        found = self._range(currency)
        return found[1] if found else None

    def unit_value(self, instrument: str) -> Decimal | None:
        """Home value of one unit of a pair: of its base currency."""
        if instrument not in self._values:
            self._values[instrument] = self._unit_value(instrument)
        return self._values[instrument]

    def _unit_value(self, instrument: str) -> Decimal | None:
        pair = self._book.instruments[instrument]
        direct = self._range(pair.base)
        if direct:
            return direct[1]
        quote = self._book.quotes.get(instrument)
        money = self.rate(pair.quote)
        if quote is None or money is None or quote.time_ns < self._not_before_ns:
            return None
        return quote.ask * pair.point * money

    def equity(self) -> Decimal | None:
        """Balance with all open trades closed at the newest quotes; gains at the lesser rate."""
        total = self._book.balance
        for trade in self._book.trades.values():
            quote = self._book.quotes.get(trade.instrument)
            money = self._range(self._book.instruments[trade.instrument].quote)
            if quote is None or money is None:
                return None
            points = (quote.bid if trade.units > 0 else quote.ask) - trade.price
            result = points * trade.units * self._book.instruments[trade.instrument].point
            total += result * money[result < 0]
        return total

    def at_stops(self) -> Decimal | None:
        """What is lost if every open trade and every intent under way is stopped."""
        total = ZERO
        for trade in self._book.trades.values():
            part = self.loss(trade.instrument, trade.units, trade.price, trade.stop_loss)
            if part is None:
                return None
            total += part
        for intent in self._book.pending.values():
            if intent.purpose is Purpose.ENTRY:
                worst = intent.price_bound or 0
                part = self.loss(intent.instrument, intent.units, worst, intent.stop_loss)
                if part is None:
                    return None
                total += part
        return total

    def loss(self, instrument: str, units: Decimal, price: int, stop: int | None) -> Decimal | None:
        """Home money that `units` from `price` lose at `stop`, ≥ 0; None without a stop."""
        pair = self._book.instruments[instrument]
        money = self.rate(pair.quote)
        if money is None or stop is None:
            return None
        return max(ZERO, (price - stop) * units) * pair.point * money

    def exposure(self, extra: Holding | None = None) -> Exposure | None:
        """All positions, entries under way and `extra`, valued."""
        gross = margin = ZERO
        held: dict[str, Decimal] = {}
        for instrument, units in holdings(self._book, extra):
            value = self.unit_value(instrument)
            if value is None:
                return None
            pair = self._book.instruments[instrument]
            worth = units * value
            gross += abs(worth)
            margin += abs(worth) * pair.margin_rate
            held[pair.base] = held.get(pair.base, ZERO) + worth
            held[pair.quote] = held.get(pair.quote, ZERO) - worth
        return Exposure(gross, margin, held)

    def _range(self, currency: str) -> tuple[Decimal, Decimal] | None:
        if currency not in self._known:
            book = self._book
            found = home_range(
                currency, book.home, book.quotes, book.instruments, self._not_before_ns
            )
            if found and currency != book.home:
                found = found[0] * (1 - self._markup), found[1] * (1 + self._markup)
            self._known[currency] = found
        return self._known[currency]


def holdings(book: Book, extra: Holding | None = None) -> Iterator[Holding]:
    """(instrument, signed units) of open trades, of entries under way, and of `extra`."""
    for trade in book.trades.values():
        yield trade.instrument, trade.units
    for intent in book.pending.values():
        if intent.purpose is Purpose.ENTRY:
            yield intent.instrument, intent.units
    if extra:
        yield extra
