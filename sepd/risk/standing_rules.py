"""Rules that hold whatever the size of the trade. Each answers a reason, or None to pass."""

from __future__ import annotations

from collections.abc import Callable

from sepd.domain.order import Purpose
from sepd.domain.time import NS_PER_S
from sepd.risk.book import REPEATED, reached
from sepd.risk.correlation import together
from sepd.risk.reason import Reason
from sepd.risk.session import session
from sepd.risk.situation import Standing

MINUTE_NS = 60 * NS_PER_S
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
    limit = at.terms.skew_ns
    ahead = at.book.quotes.get(at.instrument)
    if abs(at.book.clock_skew_ns) > limit:
        return Reason.CLOCK_SKEW
    if ahead is not None and ahead.time_ns - at.now_ns > limit:
        return Reason.CLOCK_SKEW
    return None


def validity(at: Standing) -> Reason | None:
    """The signal is of the present: neither expired nor from the future."""
    signal = at.request.signal
    if at.now_ns >= signal.valid_until_ns:
        return Reason.SIGNAL_EXPIRED
    if signal.created_ns > at.now_ns + at.terms.skew_ns:
        return Reason.SIGNAL_FROM_FUTURE
    return None


def price(at: Standing) -> Reason | None:
    """There is a fresh, sane price that the broker would deal on."""
    quote, terms = at.book.quotes.get(at.instrument), at.terms
    if quote is None:
        return Reason.NO_PRICE
    if quote.time_ns < at.now_ns - terms.quote_age_ns:
        return Reason.STALE_PRICE
    if not 0 < quote.bid <= quote.ask:
        return Reason.CROSSED_PRICE
    if not quote.tradeable:
        return Reason.NOT_TRADEABLE
    jumped = at.book.jumped_ns.get(at.instrument)
    if jumped is not None and jumped > at.now_ns - terms.quarantine_ns:
        return Reason.JUMPING_PRICE
    if quote.ask - quote.bid > terms.spread:
        return Reason.SPREAD_TOO_WIDE
    return None


def hours(at: Standing) -> Reason | None:
    """The market is open and does not close soon."""
    if at.book.calendar is None:
        return None
    return session(at.book.calendar, at.instrument, at.now_ns, at.terms.before_close_ns)


def pace(at: Standing) -> Reason | None:
    """Not too many orders in a minute, and a pause after a run of losses."""
    book, now_ns = at.book, at.now_ns
    if reached(book.sent_ns, now_ns - MINUTE_NS, at.limits.max_orders_per_minute):
        return Reason.THROTTLED
    if book.loss_streak < at.limits.max_loss_streak:
        return None
    return Reason.LOSS_STREAK if book.last_loss_ns > now_ns - at.terms.cool_down_ns else None


def collar(at: Standing) -> Reason | None:
    """The price has not run away from the one that the signal was formed on."""
    reference = at.request.reference
    if reference is None:
        return None
    entry = at.quote.ask if at.sign > 0 else at.quote.bid
    if abs(entry - reference) > at.terms.bound:
        return Reason.PRICE_OUTSIDE_COLLAR
    return None


def protection(at: Standing) -> Reason | None:
    """Every trade that is open has a stop at the broker."""
    for trade in at.book.trades.values():
        if trade.stop_loss is None:
            return Reason.UNPROTECTED_TRADE
    return None


def positions(at: Standing) -> Reason | None:
    """Nothing held or under way against this entry, and not too many with it."""
    name = at.instrument
    same = [units for held_name, units in at.held if held_name == name]
    if [units for units in same if units * at.sign < 0]:
        return Reason.OPPOSITE_POSITION
    if len(same) >= at.limits.max_positions_per_instrument:
        return Reason.DUPLICATE_POSITION
    if len(at.held) >= at.limits.max_positions:
        return Reason.TOO_MANY_POSITIONS
    for intent in at.book.pending.values():
        if intent.instrument == name and intent.purpose is Purpose.EXIT:
            return Reason.EXIT_PENDING
    return None


def company(at: Standing) -> Reason | None:
    """Not too many positions that move together, this one counted."""
    if len(at.held) < at.limits.max_correlated:
        return None
    book, pair, sign = at.book, at.terms.pair, at.sign
    alike = sum(
        together(pair, book.instruments[name], book.correlation) * (sign if units > 0 else -sign)
        >= at.limits.correlation_min
        for name, units in at.held
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
