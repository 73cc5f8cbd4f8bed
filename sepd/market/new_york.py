"""The FX day: it ends at 17:00 in New York, whatever that is in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sepd.domain.time import NS_PER_S

NEW_YORK = ZoneInfo("America/New_York")
ROLL = time(17)


def wall_ns(day: date, wall: time, zone: ZoneInfo = NEW_YORK) -> int:
    """UTC nanoseconds of a wall time; of a repeated hour the first, of a skipped one the end."""
    return int(datetime.combine(day, wall, zone).timestamp()) * NS_PER_S


def trading_day(time_ns: int) -> date:
    """The date on which the FX day that contains an instant ends."""
    local = datetime.fromtimestamp(time_ns // NS_PER_S, UTC).astimezone(NEW_YORK)
    return local.date() + timedelta(days=local.time() >= ROLL)


def next_roll_ns(time_ns: int) -> int:
    """The end of the FX day that contains an instant: the next 17:00 in New York after it."""
    return wall_ns(trading_day(time_ns), ROLL)
