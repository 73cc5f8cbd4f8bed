"""Rules that hold whatever the size of the trade. Each answers a reason, or None to pass."""

from __future__ import annotations

from collections.abc import Callable

from sepd.domain.order import Purpose
from sepd.domain.time import NS_PER_S
from sepd.risk.book import REPEATED, reached
from sepd.risk.correlation import together
from sepd.risk.exposure import holdings
from sepd.risk.reason import Reason
from sepd.risk.session import session
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
    causes = at.book.blocked.get(at.instrument)
    if causes:
        return Reason.REPEATED_EXECUTION if REPEATED in causes else Reason.INSTRUMENT_BLOCKED
    return None


def clock(at: Standing) -> Reason | None:
    """Our clock and the broker's agree, and no quote comes from the future."""
    limit = int(at.limits.max_clock_skew_s * NS_PER_S)
    ahead = at.book.quotes.get(at.instrument)
    if abs(at.book.clock_skew_ns) > limit:
        return Reason.CLOCK_SKEW
    if ahead is not None and ahead.time_ns - at.request.now_ns > limit:
        return Reason.CLOCK_SKEW
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
    jumped = at.book.jumped_ns.get(at.instrument)
    if jumped is not None and jumped > at.since(at.limits.jump_quarantine_s):
        return Reason.JUMPING_PRICE
    if quote.spread > at.limits.max_spread_pips * at.pair.points_per_pip:
        return Reason.SPREAD_TOO_WIDE
    return None


def hours(at: Standing) -> Reason | None:
    """The market is open and does not close soon."""
    if at.book.calendar is None:
        return None
    before_close_ns = at.limits.no_entry_before_close_s * NS_PER_S
    return session(at.book.calendar, at.instrument, at.request.now_ns, before_close_ns)


def pace(at: Standing) -> Reason | None:
    """Not too many orders in a minute, and a pause after a run of losses."""
    if reached(at.book.sent_ns, at.since(60), at.limits.max_orders_per_minute):
        return Reason.THROTTLED
    if at.book.loss_streak >= at.limits.max_loss_streak and at.book.last_loss_ns > at.since(
        at.limits.cool_down_s
    ):
        return Reason.LOSS_STREAK
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
    sign, name = at.request.signal.action.sign, at.instrument
    held = list(holdings(at.book))
    same = [units for held_name, units in held if held_name == name]
    if any(units * sign < 0 for units in same):
        return Reason.OPPOSITE_POSITION
    if len(same) >= at.limits.max_positions_per_instrument:
        return Reason.DUPLICATE_POSITION
    if len(held) >= at.limits.max_positions:
        return Reason.TOO_MANY_POSITIONS
    for intent in at.book.pending.values():
        if intent.instrument == name and intent.purpose is Purpose.EXIT:
            return Reason.EXIT_PENDING
    return None


def company(at: Standing) -> Reason | None:
    """Not too many positions that move together, this one counted."""
    held = list(holdings(at.book))
    if len(held) < at.limits.max_correlated:
        return None
    sign = at.request.signal.action.sign
    alike = sum(
        together(at.pair, at.book.instruments[name], at.book.correlation)
        * (sign if units > 0 else -sign)
        >= at.limits.correlation_min
        for name, units in held
    )
    return Reason.TOO_CORRELATED if alike >= at.limits.max_correlated else None


RULES: tuple[Rule, ...] = (
    switches,
    validity,
    clock,
    hours,
    price,
    collar,
    pace,
    protection,
    positions,
    company,
)
