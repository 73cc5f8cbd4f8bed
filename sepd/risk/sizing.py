"""How many units a trade may have.

Fixed fractional: a trade that is stopped loses at most a set fraction of the balance, counted
from the worst fill its price bound permits. With a Kelly fraction, confidence is read as the
probability that the target is met before the stop, and can only make the trade smaller.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, Decimal

from sepd.domain.market import Instrument
from sepd.settings import RiskSettings

Q14 = 16_384
ZERO = Decimal(0)


def stop_points(instrument: Instrument, limits: RiskSettings, volatility_points: int) -> int:
    """Distance of the stop: the configured one, or further away where prices move more."""
    fixed = limits.stop_pips * instrument.points_per_pip
    floor = limits.volatility_stops * volatility_points
    return max(1, int(max(fixed, floor).to_integral_value(ROUND_CEILING)))


def target_points(stop: int, limits: RiskSettings) -> int:
    """Distance of the target, in the configured proportion to the stop."""
    return max(1, int(stop * limits.target_pips / limits.stop_pips))


def bound_points(instrument: Instrument, limits: RiskSettings) -> int:
    """How much worse than the price seen a fill may be."""
    return int(limits.price_bound_pips * instrument.points_per_pip)


def risk_fraction(confidence: int, limits: RiskSettings) -> Decimal:
    """Fraction of the balance to risk, ≤ `risk_per_trade`; 0 where there is no edge.

    Args:
        confidence: Q14 probability p of the target before the stop. Kelly's fraction of a bet
            that wins R = target / stop with probability p is p − (1 − p) / R.
    """
    if not limits.kelly_fraction:
        return limits.risk_per_trade
    chance = Decimal(confidence) / Q14
    kelly = chance - (1 - chance) * limits.stop_pips / limits.target_pips
    return min(limits.risk_per_trade, max(ZERO, limits.kelly_fraction * kelly))


def units_at_risk(
    money: Decimal, distance_points: int, home_per_quote: Decimal, instrument: Instrument
) -> Decimal:
    """Most units whose loss over `distance_points` is at most `money` of home currency.

    Rounded down to the decimals the broker accepts; 0 where that is below its minimum.
    """
    loss_per_unit = distance_points * instrument.point * home_per_quote
    units = round_units(money / loss_per_unit, instrument)
    return units if units >= instrument.minimum_trade_size else ZERO


def round_units(units: Decimal, instrument: Instrument) -> Decimal:
    """`units` cut to the instrument's `trade_units_precision`."""
    return units.quantize(instrument.unit_step, ROUND_DOWN)
