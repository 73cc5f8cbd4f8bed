"""The limits as they bind one pair, in points, nanoseconds and units."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from sepd.domain.market import Instrument
from sepd.domain.time import NS_PER_S
from sepd.risk.sizing import bound_points, round_units, stop_points, target_points
from sepd.settings import RiskSettings


class Terms(Struct, frozen=True):
    """What `limits` mean for `pair`.

    A whole number that passes a limit with a fraction passes the limit cut to a whole number, so
    points are compared with points. `stop` and `target` are those of a quiet market; `most` is
    the largest order, `cap` the same in the decimals that the broker takes.
    """

    limits: RiskSettings
    pair: Instrument
    skew_ns: int
    quote_age_ns: int
    conversion_age_ns: int
    quarantine_ns: int
    cool_down_ns: int
    before_close_ns: int
    spread: int
    bound: int
    stop: int
    target: int
    most: Decimal
    cap: Decimal


def terms_of(limits: RiskSettings, pair: Instrument) -> Terms:
    """Both are immutable, so this may be kept for as long as they are the same objects."""
    stop = stop_points(pair, limits, 0)
    most = min(limits.max_units, pair.maximum_order_units)
    return Terms(
        limits,
        pair,
        skew_ns=_ns(limits.max_clock_skew_s),
        quote_age_ns=_ns(limits.max_quote_age_s),
        conversion_age_ns=_ns(limits.max_conversion_age_s),
        quarantine_ns=_ns(limits.jump_quarantine_s),
        cool_down_ns=_ns(limits.cool_down_s),
        before_close_ns=_ns(limits.no_entry_before_close_s),
        spread=int(limits.max_spread_pips * pair.points_per_pip),
        bound=bound_points(pair, limits),
        stop=stop,
        target=target_points(stop, limits),
        most=most,
        cap=round_units(most, pair),
    )


def _ns(seconds: Decimal | int) -> int:
    return int(seconds * NS_PER_S)
