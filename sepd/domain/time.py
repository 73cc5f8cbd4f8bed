"""UTC instants as integer nanoseconds, and their RFC 3339 text."""

from __future__ import annotations

from datetime import UTC, datetime

from sepd.errors import InputError

NS_PER_S = 1_000_000_000
_DAY_NS: dict[str, int] = {}


def parse_time(text: str) -> int:
    """RFC 3339 UTC text (`2016-10-27T08:38:43.094548890Z`) as nanoseconds since 1970.

    Raises:
        InputError: the text is not such an instant.
    """
    try:
        if text[10] not in "Tt " or text[13] != ":" or text[16] != ":" or text[-1] not in "Zz":
            raise ValueError
        day = _day_ns(text[:10])
        hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
        fraction = text[19:-1]
        if fraction:
            if fraction[0] != "." or not fraction[1:].isdecimal() or len(fraction) > 10:
                raise ValueError
            nanos = int(fraction[1:].ljust(9, "0"))
        else:
            nanos = 0
        if hour > 23 or minute > 59 or second > 59 or min(hour, minute, second) < 0:
            raise ValueError
    except (ValueError, IndexError):
        raise InputError(f"{text[:40]!r} is not a UTC time such as 2014-05-01T00:00:00Z.") from None
    return day + (hour * 3600 + minute * 60 + second) * NS_PER_S + nanos


def _day_ns(day: str) -> int:
    """Midnight of `YYYY-MM-DD`; cached, because a tape names the same day very often."""
    known = _DAY_NS.get(day)
    if known is None:
        if len(_DAY_NS) > 4096:
            _DAY_NS.clear()
        midnight = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
        known = _DAY_NS[day] = int(midnight.timestamp()) * NS_PER_S
    return known


def format_time(time_ns: int) -> str:
    """Nanoseconds since 1970 as RFC 3339 with nine decimals, the broker's own spelling."""
    seconds, nanos = divmod(time_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
