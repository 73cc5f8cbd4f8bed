"""Prices, instruments and conversions as JSON objects."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal
from typing import Any

import msgspec

from sepd.domain.market import Instrument, Quote
from sepd.domain.time import format_time
from sepd.venue.account import Account
from sepd.venue.admission import trailing_limits
from sepd.venue.config import FinancingRates
from sepd.venue.fills import factor_text
from sepd.venue.money import ZERO, fixed, text
from sepd.venue.valuation import margin_rate, unit_value, value

Json = dict[str, Any]
_WEEK = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")


def instrument_view(account: Account, instrument: Instrument) -> Json:
    """What the venue says about a pair."""
    least, most = trailing_limits(instrument)
    digits = instrument.display_precision
    rates = account.config.financing.get(instrument.name, FinancingRates())
    return {
        "name": instrument.name,
        "type": "METAL" if instrument.base in ("XAU", "XAG") else "CURRENCY",
        "displayName": instrument.name.replace("_", "/"),
        "pipLocation": instrument.pip_location,
        "displayPrecision": digits,
        "tradeUnitsPrecision": instrument.trade_units_precision,
        "minimumTradeSize": text(instrument.minimum_trade_size),
        "maximumTrailingStopDistance": fixed(most, digits),
        "minimumTrailingStopDistance": fixed(least, digits),
        "maximumPositionSize": text(instrument.maximum_position_size),
        "maximumOrderUnits": text(instrument.maximum_order_units),
        "marginRate": text(instrument.margin_rate),
        "guaranteedStopLossOrderMode": "DISABLED",
        "tags": [{"type": "ASSET_CLASS", "name": "CURRENCY"}],
        "financing": {
            "longRate": text(rates.long_rate),
            "shortRate": text(rates.short_rate),
            "financingDaysOfWeek": [
                {"dayOfWeek": day, "daysCharged": charged}
                for day, charged in zip(_WEEK, rates.days, strict=True)
            ],
        },
    }


def price_view(account: Account, quote: Quote) -> Json:
    """A quote with its conversion factors."""
    bid = account.price(quote.instrument, quote.bid)
    ask = account.price(quote.instrument, quote.ask)
    factors = account.quote_conversion(quote.instrument)
    depth = account.config.liquidity
    tradeable = not account.halted(quote.instrument)
    return {
        "type": "PRICE",
        "time": format_time(quote.time_ns),
        "bids": [{"price": bid, "liquidity": depth}],
        "asks": [{"price": ask, "liquidity": depth}],
        "closeoutBid": bid,
        "closeoutAsk": ask,
        "status": "tradeable" if tradeable else "non-tradeable",
        "tradeable": tradeable,
        "quoteHomeConversionFactors": {
            "positiveUnits": factor_text(factors.gain),
            "negativeUnits": factor_text(factors.loss),
        },
        "instrument": quote.instrument,
    }


def halt_line(account: Account, quote: Quote) -> str:
    """The PRICE line that says that the market of `quote` closed: the last price, not tradeable."""
    view = price_view(account, quote)
    del view["quoteHomeConversionFactors"]
    view["time"] = format_time(account.now_ns)
    return msgspec.json.encode(view).decode() + "\n"


def home_conversions(account: Account, currencies: Iterable[str]) -> list[Json]:
    """Conversion into the home currency, where a rate is known."""
    found = ((name, account.market.conversion(name)) for name in dict.fromkeys(currencies))
    return [
        {
            "currency": name,
            "accountGain": factor_text(factors.gain),
            "accountLoss": factor_text(factors.loss),
            "positionValue": factor_text(factors.mid),
        }
        for name, factors in found
        if factors is not None
    ]


def units_available(account: Account, instrument: str) -> Json:
    """Units that could be traded each way, by position fill."""
    per_unit = unit_value(account, instrument) * margin_rate(account, instrument)
    free = max(value(account).margin_available, ZERO) / per_unit if per_unit else ZERO
    step = Decimal(1).scaleb(-account.market.instruments[instrument].trade_units_precision)
    opens = free.quantize(step, rounding=ROUND_DOWN)
    held = {
        long: abs(sum((t.units for t in account.book.trades_of(instrument, long)), ZERO))
        for long in (True, False)
    }
    reduce_only = {"long": text(held[False]), "short": text(held[True])}
    open_only = {"long": text(opens), "short": text(opens)}
    first = {
        "long": text(opens + 2 * held[False]),
        "short": text(opens + 2 * held[True]),
    }
    default = open_only if account.config.hedging else first
    return {
        "default": default,
        "reduceFirst": first,
        "reduceOnly": reduce_only,
        "openOnly": open_only,
    }
