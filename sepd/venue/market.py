"""Newest quotes and what they make of money in other currencies."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from sepd.domain.market import Instrument, Quote
from sepd.venue.config import VenueConfig
from sepd.venue.money import ONE


class Conversion(Struct, frozen=True):
    """One unit of a currency in the home currency: gains are worth less, losses cost more."""

    gain: Decimal
    loss: Decimal
    mid: Decimal

    def of(self, amount: Decimal) -> Decimal:
        """`amount` in the home currency, not rounded."""
        return amount * (self.gain if amount > 0 else self.loss)


IDENTITY = Conversion(ONE, ONE, ONE)


class Market:
    """Instruments by name, their newest quote, and conversion into the home currency."""

    def __init__(self, instruments: Iterable[Instrument], config: VenueConfig) -> None:
        self.instruments = {instrument.name: instrument for instrument in instruments}
        self.quotes: dict[str, Quote] = {}
        self._config = config

    def put(self, quote: Quote) -> None:
        """The newest quote of its instrument."""
        self.quotes[quote.instrument] = quote

    def mid(self, instrument: str) -> Decimal | None:
        """Mid price, or None before the first quote."""
        quote = self.quotes.get(instrument)
        return self.instruments[instrument].to_price(quote.mid2) / 2 if quote else None

    def conversion(self, currency: str) -> Conversion | None:
        """Factors into the home currency, or None where neither a tape nor a setting has them."""
        if currency == self._config.home_currency:
            return IDENTITY
        mid = self._home_mid(currency)
        if mid is None:
            return None
        return self.marked_up(mid)

    def marked_up(self, mid: Decimal) -> Conversion:
        """Factors around the mid rate of a conversion."""
        markup = self._config.conversion_markup
        return Conversion(mid * (1 - markup), mid * (1 + markup), mid)

    def _home_mid(self, currency: str) -> Decimal | None:
        home = self._config.home_currency
        direct, inverse = f"{currency}_{home}", f"{home}_{currency}"
        if direct in self.quotes:
            return self.mid(direct)
        if inverse in self.quotes:
            price = self.mid(inverse)
            return 1 / price if price else None
        return self._config.home_rates.get(currency)

    def unpriced(self) -> list[str]:
        """Quote currencies that no loaded tape and no setting can convert."""
        quotes = dict.fromkeys(rules.quote for rules in self.instruments.values())
        home = self._config.home_currency
        return [
            currency
            for currency in quotes
            if currency != home
            and currency not in self._config.home_rates
            and not self.conversion_pairs(currency)
        ]

    def conversion_pairs(self, currency: str) -> set[str]:
        """Loaded instruments whose quotes decide the conversion of `currency`."""
        home = self._config.home_currency
        return {f"{currency}_{home}", f"{home}_{currency}"} & set(self.instruments)
