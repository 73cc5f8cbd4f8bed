"""Rules that hold whatever the size of the trade. Each answers a reason, or None to pass."""

from __future__ import annotations

from collections.abc import Callable

from sepd.domain.order import Purpose
from sepd.risk.exposure import holdings
from sepd.risk.reason import Reason
from sepd.risk.situation import Standing

Rule = Callable[[Standing], Reason | None]


def switches(at: Standing) -> Reason | None:
    """Kill switch, reconciliation, blocks by orders of unknown fate, allow-list."""
    if at.book.killed:
        return Reason.KILLED
    if not at.book.ready or at.book.blocked.get(""):
        return Reason.RECONCILING
    if at.instrument not in at.book.instruments:
        return Reason.UNKNOWN_INSTRUMENT
    if at.limits.allowed and at.instrument not in at.limits.allowed:
        return Reason.NOT_ALLOWED
    if at.book.blocked.get(at.instrument):
        return Reason.INSTRUMENT_BLOCKED
    return None


def validity(at: Standing) -> Reason | None:
    """The signal is of the present: neither expired nor from the future."""
    if at.request.now_ns >= at.request.signal.valid_until_ns:
        return Reason.SIGNAL_EXPIRED
    if at.request.signal.created_ns > at.since(-at.limits.max_clock_skew_s):
        return Reason.SIGNAL_FROM_FUTURE
    return None


def price(at: Standing) -> Reason | None:
    """There is a fresh, sane price that the broker would deal on."""
    if at.instrument not in at.book.quotes:
        return Reason.NO_PRICE
    quote = at.quote
    if quote.time_ns < at.since(at.limits.max_quote_age_s):
        return Reason.STALE_PRICE
    if not 0 < quote.bid <= quote.ask:
        return Reason.CROSSED_PRICE
    if not quote.tradeable:
        return Reason.NOT_TRADEABLE
    if quote.spread > at.limits.max_spread_pips * at.pair.points_per_pip:
        return Reason.SPREAD_TOO_WIDE
    return None


def collar(at: Standing) -> Reason | None:
    """The price has not run away from the one that the signal was formed on."""
    reference = at.request.reference
    if reference is None:
        return None
    entry = at.quote.ask if at.request.signal.action.sign > 0 else at.quote.bid
    if abs(entry - reference) > at.limits.price_bound_pips * at.pair.points_per_pip:
        return Reason.PRICE_OUTSIDE_COLLAR
    return None


def protection(at: Standing) -> Reason | None:
    """Every trade that is open has a stop at the broker."""
    if any(trade.stop_loss is None for trade in at.book.trades.values()):
        return Reason.UNPROTECTED_TRADE
    return None


def positions(at: Standing) -> Reason | None:
    """Nothing held or under way against this entry, and not too many with it."""
    sign = at.request.signal.action.sign
    held = list(holdings(at.book))
    same = [units for name, units in held if name == at.instrument]
    if any(units * sign < 0 for units in same):
        return Reason.OPPOSITE_POSITION
    if len(same) >= at.limits.max_positions_per_instrument:
        return Reason.DUPLICATE_POSITION
    if len(held) >= at.limits.max_positions:
        return Reason.TOO_MANY_POSITIONS
    if any(
        intent.instrument == at.instrument and intent.purpose is Purpose.EXIT
        for intent in at.book.pending.values()
    ):
        return Reason.EXIT_PENDING
    return None


RULES: tuple[Rule, ...] = (switches, validity, price, collar, protection, positions)
