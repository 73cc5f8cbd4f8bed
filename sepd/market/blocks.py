"""Many lines of a common layout at once, by NumPy: the fast twin of `Layout.parse`.

A block is read here only if every line of it is plain: times of one width in UTC, prices of
digits and at most one point. Anything else returns None and is read line by line, so that both
ways always give the same integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sepd.domain.time import NS_PER_S

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_COMMA, _LINE_FEED, _POINT, _ZERO = 44, 10, 46, 48
_MOST_CHARACTERS = 12
_MOST_PRECISION = 6
_DATE = "0000-00-00T00:00:00"
_MONTH_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def parse_block(text: str, prices: int, precision: int, has_volume: bool = False) -> Ints | None:
    """Rows of time_ns, `prices` prices in points, and perhaps a volume.

    Args:
        text: lines, each with its line feed.
        prices: price fields after the time.
        precision: decimals of a point.
        has_volume: whether a count ends each line.

    Returns:
        integers of shape (lines, fields), or None if any line is not plain.
    """
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    fields = 1 + prices + has_volume
    ends = np.flatnonzero((data == _COMMA) | (data == _LINE_FEED))
    if not len(ends) or len(ends) % fields:
        return None
    first = np.concatenate([[0], ends[:-1] + 1]).reshape(-1, fields)
    last = ends.reshape(-1, fields)
    if (data[last[:, -1]] != _LINE_FEED).any() or (data[last[:, :-1]] != _COMMA).any():
        return None
    times = _times(data, first[:, 0], last[:, 0])
    points = _decimals(data, first[:, 1 : 1 + prices], last[:, 1 : 1 + prices], precision)
    counts = _decimals(data, first[:, 1 + prices :], last[:, 1 + prices :], 0)
    if times is None or points is None or counts is None:
        return None
    return np.concatenate([times[:, None], points, counts], axis=1)


def _decimals(data: Bytes, starts: Ints, ends: Ints, precision: int) -> Ints | None:
    """Decimal texts as integers of 10^-precision."""
    width = ends - starts
    longest = int(width.max(initial=0))
    if longest > _MOST_CHARACTERS or precision > _MOST_PRECISION or (width < 1).any():
        return None
    value = np.zeros(starts.shape, np.int64)
    decimals = np.zeros(starts.shape, np.int64)
    pointed = np.zeros(starts.shape, bool)
    last = len(data) - 1
    for place in range(longest):
        inside = place < width
        character = data[np.minimum(starts + place, last)]
        digit = character - np.uint8(_ZERO)
        is_digit = inside & (digit < 10)
        is_point = inside & (character == _POINT)
        if (inside & ~is_digit & ~is_point).any() or (is_point & pointed).any():
            return None
        if not place and is_point.any():
            return None
        value = np.where(is_digit, value * 10 + digit, value)
        decimals += is_digit & pointed
        pointed |= is_point
    if int(decimals.max(initial=0)) > precision or (precision == 0 and pointed.any()):
        return None
    return value * 10 ** (precision - decimals)


def _times(data: Bytes, starts: Ints, ends: Ints) -> Ints | None:
    """RFC 3339 times of 1970 … 2099, all of one width, as nanoseconds."""
    width = int(ends[0] - starts[0])
    decimals = max(0, width - len(_DATE) - 2)
    form = _DATE + ("." + "0" * decimals if decimals else "") + "Z"
    if len(form) != width or decimals > 9 or (ends - starts != width).any():
        return None
    texts = data[starts[:, None] + np.arange(width)]
    fixed = np.array([mark != "0" for mark in form])
    if (texts[:, fixed] != np.frombuffer(form.encode(), np.uint8)[fixed]).any():
        return None
    digits = (texts - np.uint8(_ZERO)).astype(np.int64)
    if (digits[:, ~fixed] > 9).any():
        return None
    year, month, day = (_number(digits, *span) for span in ((0, 4), (5, 7), (8, 10)))
    hour, minute, second = (_number(digits, *span) for span in ((11, 13), (14, 16), (17, 19)))
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0)) & (month == 2)
    known = (month >= 1) & (month <= 12) & (year >= 1970) & (year < 2100)
    longest = _MONTH_DAYS[np.where(known, month, 0)] + leap
    known &= (day >= 1) & (day <= longest) & (hour < 24) & (minute < 60) & (second < 60)
    if not known.all():
        return None
    seconds = _days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
    nanos = _number(digits, 20, 20 + decimals) * 10 ** (9 - decimals) if decimals else 0
    return seconds * NS_PER_S + nanos


def _number(digits: Ints, start: int, end: int) -> Ints:
    """Columns of digits as one number."""
    value = digits[:, start].copy()
    for place in range(start + 1, end):
        value = value * 10 + digits[:, place]
    return value


def _days(year: Ints, month: Ints, day: Ints) -> Ints:
    """Days since 1970 of Gregorian dates; years are counted from March."""
    years = year - (month <= 2)
    days = 365 * years + years // 4 - years // 100 + years // 400
    return days + (153 * ((month + 9) % 12) + 2) // 5 + day - 719_469
