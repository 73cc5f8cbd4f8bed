"""Instruments that a file names, where no broker is there to describe them.

The precisions are those of OANDA's instrument list as far as recordings of it are public: five
decimals and a pip of 0.0001, except where a quote currency or an instrument is quoted otherwise.
Prices with more decimals than that are refused, never rounded. A broker's own word comes first.
"""

from __future__ import annotations

import re

from sepd.domain.market import Instrument
from sepd.errors import InputError

_DEFAULT = (5, -4)
_BY_QUOTE = {"JPY": (3, -2), "HUF": (3, -2), "THB": (3, -2)}
_BY_NAME = {"XAU_USD": (3, -2), "XAU_EUR": (3, -2), "XPT_USD": (3, -2), "XPD_USD": (3, -2)}
_QUOTES = re.compile(
    "AUD|CAD|CHF|CNH|CZK|DKK|EUR|GBP|HKD|HUF|INR|JPY|MXN|NOK|NZD|PLN|SAR|SEK|SGD|THB|TRY|USD|XAG|ZAR"
)
_NAME = re.compile(r"(?<![A-Z0-9])([A-Z][A-Z0-9]{1,9})_([A-Z]{3})(?![A-Z0-9])")
_PAIR = re.compile(r"(?<![A-Z0-9])([A-Z]{3})([A-Z]{3})(?![A-Z0-9])")


def instrument_named(name: str) -> Instrument:
    """The instrument `name` (`EUR_USD`), with the precision that its prices have at OANDA.

    Raises:
        InputError: not a name of that form.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name[:40]!r} is not an instrument's name such as EUR_USD.")
    quote = name.rpartition("_")[2]
    precision, pip = _BY_NAME.get(name) or _BY_QUOTE.get(quote, _DEFAULT)
    return Instrument(name, display_precision=precision, pip_location=pip)


def instrument_in(file_name: str) -> Instrument | None:
    """The instrument that a file's name carries: `EUR_USD.tick.csv.gz`, `EURUSD.csv`, `eurusd`."""
    for name in (file_name, file_name.upper()):
        for found in (*_NAME.finditer(name), *_PAIR.finditer(name)):
            if _QUOTES.fullmatch(found[2]):
                return instrument_named(f"{found[1]}_{found[2]}")
    return None
