"""UTC instants as integer nanoseconds, and their RFC 3339 text."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sepd.errors import InputError

NS_PER_S = 1_000_000_000
_MINUTE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:")
_MINUTE_NS: dict[str, int] = {}
_DAY_NS: dict[str, int] = {}
_CACHED = 4_096
_REFUSED = "{!r} is not a UTC time such as 2014-05-01T00:00:00Z."


def parse_time(text: str) -> int:
    """RFC 3339 UTC text (`2016-10-27T08:38:43.094548890Z`) as nanoseconds since 1970.

    Raises:
        InputError: the text is not such an instant.
    """
    minute = _MINUTE_NS.get(text[:17])
    if minute is None:
        minute = _minute_ns(text)
    second, fraction = text[17:19], text[19:-1]
    digits = second + fraction[1:]
    if (
        not (digits.isdecimal() and digits.isascii() and len(second) == 2 and second < "60")
        or text[-1] not in "Zz"
        or (fraction and (fraction[0] != "." or not 2 <= len(fraction) <= 10))
    ):
        raise InputError(_REFUSED.format(text[:40]))
    nanos = int(fraction[1:].ljust(9, "0")) if fraction else 0
    return minute + int(second) * NS_PER_S + nanos


def _minute_ns(text: str) -> int:
    """The minute that begins an RFC 3339 text; cached: a tape names the same one very often."""
    minute = text[:17]
    if not _MINUTE.fullmatch(minute):
        raise InputError(_REFUSED.format(text[:40]))
    if len(_MINUTE_NS) > _CACHED:
        _MINUTE_NS.clear()
    seconds = int(minute[11:13]) * 3600 + int(minute[14:16]) * 60
    known = _MINUTE_NS[minute] = _day_ns(text) + seconds * NS_PER_S
    return known


def _day_ns(text: str) -> int:
    """Midnight of the `YYYY-MM-DD` that begins a text; cached too."""
    day = text[:10]
    known = _DAY_NS.get(day)
    if known is None:
        if len(_DAY_NS) > _CACHED:
            _DAY_NS.clear()
        try:
            midnight = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise InputError(_REFUSED.format(text[:40])) from None
        known = _DAY_NS[day] = int(midnight.timestamp()) * NS_PER_S
    return known


def format_time(time_ns: int) -> str:
    """Nanoseconds since 1970 as RFC 3339 with nine decimals, the broker's own spelling."""
    seconds, nanos = divmod(time_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
