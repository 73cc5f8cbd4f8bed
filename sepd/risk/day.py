"""The trading day: from 17:00 to 17:00 in New York, named by the date on which it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from sepd.domain.time import NS_PER_S

_HOUR_NS = 3_600 * NS_PER_S
_NEW_YORK = ZoneInfo("America/New_York")
_TO_MIDNIGHT = timedelta(hours=7)


def trading_day(time_ns: int) -> str:
    """`YYYY-MM-DD` of the trading day that holds `time_ns`.

    The wall clock of New York decides, so the day is 23 or 25 hours long when it changes.
    """
    return _of_hour(time_ns // _HOUR_NS)


@lru_cache(maxsize=64)
def _of_hour(hour: int) -> str:
    """The day of an hour since 1970: New York is whole hours from UTC, and changes on the hour."""
    local = datetime.fromtimestamp(hour * 3_600, UTC).astimezone(_NEW_YORK)
    return (local.replace(tzinfo=None) + _TO_MIDNIGHT).date().isoformat()
