"""What opening hours mean for an entry."""

from __future__ import annotations

from sepd.market.calendar import Calendar
from sepd.risk.reason import Reason

LONG_CLOSE_NS = 6 * 3_600 * 1_000_000_000


def session(
    calendar: Calendar, instrument: str, now_ns: int, before_close_ns: int
) -> Reason | None:
    """The market is open, and stays open for longer than `before_close_ns`."""
    found = calendar.session(instrument, now_ns)
    if found is None:
        return Reason.MARKET_CLOSED
    if found.close_ns - now_ns < before_close_ns:
        return Reason.MARKET_CLOSING
    return None


def held_over_close(calendar: Calendar, instrument: str, from_ns: int, to_ns: int) -> bool:
    """Whether a position held from one instant to the other meets a close of many hours.

    That is a weekend or a holiday; the pause of every day is too short to count.
    """
    at_ns = from_ns
    while (close_ns := calendar.next_close(instrument, at_ns)) < to_ns:
        at_ns = calendar.next_open(instrument, close_ns)
        if at_ns - close_ns >= LONG_CLOSE_NS:
            return True
    return False
