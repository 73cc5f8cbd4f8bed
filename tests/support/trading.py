"""Small makers of trading values for tests."""

from __future__ import annotations

from decimal import Decimal

from sepd.domain.market import Granularity, Instrument, Quote
from sepd.domain.order import OrderIntent
from sepd.domain.signal import Action, Metrics, Signal
from sepd.execution.intent import entry_intent

S = 1_000_000_000
NOON = 1_489_579_200 * S  # Wednesday 2017-03-15 12:00 UTC, 08:00 in New York
ACCOUNT = "001-011-5838423-001"
EUR_USD = Instrument("EUR_USD", margin_rate=Decimal("0.02"))
GBP_USD = Instrument("GBP_USD", margin_rate=Decimal("0.05"))
USD_CHF = Instrument("USD_CHF", margin_rate=Decimal("0.03"))
USD_JPY = Instrument("USD_JPY", display_precision=3, pip_location=-2)
EUR_GBP = Instrument("EUR_GBP")
PAIRS = {pair.name: pair for pair in (EUR_USD, GBP_USD, USD_CHF, USD_JPY, EUR_GBP)}


def make_signal(
    number: int = 1,
    instrument: str = "EUR_USD",
    action: Action = Action.BUY,
    created_ns: int = NOON,
    valid_s: int = 300,
    confidence: int = 16_384,
) -> Signal:
    """A signal that is valid for `valid_s` from `created_ns`."""
    return Signal(
        id=f"S{number:025d}",
        instrument=instrument,
        granularity=Granularity.M5,
        action=action,
        confidence=confidence,
        metrics=Metrics(0, 0, 0, 0),
        rule="test",
        config_version="000000000000",
        created_ns=created_ns,
        valid_until_ns=created_ns + valid_s * S,
    )


def make_entry(
    signal: Signal, units: int = 1_000, now_ns: int = NOON, checkpoint: int = 0
) -> OrderIntent:
    """A buy or sell of EUR_USD around 1.10000 with stop and target."""
    sign = signal.action.sign
    return entry_intent(
        ACCOUNT,
        signal,
        units=Decimal(sign * units),
        price_bound=110_000 + sign * 50,
        stop_loss=110_000 - sign * 300,
        take_profit=110_000 + sign * 450,
        now_ns=now_ns,
        checkpoint=checkpoint,
    )


def quote(instrument: str, bid: int, ask: int, time_ns: int = NOON) -> Quote:
    """A tradeable quote."""
    return Quote(instrument, time_ns, bid, ask)
