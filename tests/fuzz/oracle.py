"""A second reading of one line of a price file: regular expressions, `Fraction`, `datetime`.

It shares nothing with the parsers, so that a row which they accept wrongly shows.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PRICE = re.compile(r"[0-9]+\.?[0-9]*")
SPREAD = 10
Fields = tuple[int, ...]


def ns(text: str, form: str, fraction: str = "", shift_h: int = 0) -> int | None:
    """A time by `datetime`."""
    if not text.isascii() or (fraction and not re.fullmatch(r"[0-9]{1,9}", fraction)):
        return None
    try:
        moment = datetime.strptime(text, form).replace(tzinfo=UTC) - EPOCH
    except ValueError:
        return None
    return (moment // timedelta(seconds=1) + shift_h * 3600) * 10**9 + int(fraction.ljust(9, "0"))


def points(text: str) -> int | None:
    """A price by `Fraction`."""
    if not PRICE.fullmatch(text):
        return None
    scaled = Fraction(text) * 10**5
    return int(scaled) if scaled.denominator == 1 else None


def all_of(*values: int | None) -> Fields | None:
    """The values, if all were readable."""
    return None if None in values else tuple(value for value in values if value is not None)


def iso(text: str) -> int | None:
    found = re.fullmatch(
        r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?[Zz]",
        text,
    )
    return ns(f"{found[1]} {found[2]}", "%Y-%m-%d %H:%M:%S", found[3] or "") if found else None


def read_tick(line: str) -> Fields | None:
    fields = line.split(",")
    return all_of(iso(fields[0]), *map(points, fields[1:])) if len(fields) == 3 else None


def read_bar(line: str) -> Fields | None:
    fields = line.split(",")
    return all_of(iso(fields[0]), *map(points, fields[1:])) if len(fields) == 9 else None


def beside(prices: list[int | None], lower: int = 0) -> list[int | None]:
    bids = [None if price is None else price and price - lower for price in prices]
    return [*bids, *(None if bid is None else bid and bid + SPREAD for bid in bids)]


def read_mid(line: str) -> Fields | None:
    fields = line.split(",")
    if len(fields) not in {5, 6} or (len(fields) == 6 and not _count(fields[5])):
        return None
    time = fields[0] if fields[0][-1:] == "Z" else fields[0] + "Z"
    return all_of(iso(time), *beside([points(one) for one in fields[1:5]], SPREAD // 2))


def _count(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,15}(\.0{1,9})?", text) is not None


def read_lean(line: str) -> Fields | None:
    fields = line.split(",")
    if len(fields) != 11 or not PRICE.fullmatch(fields[0]):
        return None
    offset = Fraction(fields[0]) * 10**6
    midnight = ns("2014-05-01", "%Y-%m-%d")
    if offset.denominator != 1 or midnight is None:
        return None
    prices = [points(fields[n]) for n in (1, 2, 3, 4, 6, 7, 8, 9)]
    return all_of(midnight + int(offset), *prices)


def read_dukascopy(line: str) -> Fields | None:
    fields = line.split(",")
    found = re.fullmatch(
        r"([0-9]{2}\.[0-9]{2}\.[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2})"
        r"(?:\.([0-9]{1,9}))?(?: GMT[+-]0000)?",
        fields[0],
    )
    if found:
        time = ns(found[1], "%d.%m.%Y %H:%M:%S", found[2] or "")
    elif re.fullmatch(r"[0-9]{13}", fields[0]):
        time = int(fields[0]) * 10**6
    else:
        time = iso(fields[0][:10].replace(".", "-") + fields[0][10:].removesuffix("Z") + "Z")
    return all_of(time, points(fields[2]), points(fields[1]))


def read_histdata(line: str) -> Fields | None:
    fields = line.split(";")
    if len(fields) != 6 or not re.fullmatch(r"[0-9]{8} [0-9]{6}", fields[0]):
        return None
    time = ns(fields[0], "%Y%m%d %H%M%S", "", 5)
    return all_of(time, *beside([points(one) for one in fields[1:5]]))


def read_lean_hour(line: str) -> Fields | None:
    fields = line.split(",")
    if len(fields) != 11 or not re.fullmatch(r"[0-9]{8} [0-9]{2}:[0-9]{2}", fields[0]):
        return None
    prices = [points(fields[n]) for n in (1, 2, 3, 4, 6, 7, 8, 9)]
    return all_of(ns(fields[0], "%Y%m%d %H:%M"), *prices)


def read_histdata_tick(line: str) -> Fields | None:
    fields = line.split(",")
    if len(fields) != 4 or not re.fullmatch(r"[0-9]{8} [0-9]{9}", fields[0]):
        return None
    time = ns(fields[0][:15], "%Y%m%d %H%M%S", fields[0][15:], 5)
    return all_of(time, points(fields[1]), points(fields[2]))


def read_metatrader(line: str) -> Fields | None:
    fields = line.split(",")
    date = fields[0].replace("-", ".")
    clock = re.fullmatch(r"[0-9]{2}:[0-9]{2}", fields[1]) if len(fields) == 7 else None
    if not clock or not re.fullmatch(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}", date):
        return None
    time = ns(f"{date} {fields[1]}", "%Y.%m.%d %H:%M", "", 5)
    return all_of(time, *beside([points(one) for one in fields[2:6]]))


def read_dukascopy_bar(line: str) -> Fields | None:
    fields = line.split(",")
    if len(fields) != 6 or not re.fullmatch(r"[0-9]+(\.[0-9]*)?", fields[5]):
        return None
    tick = read_dukascopy(f"{fields[0]},1,1")
    return tick and all_of(tick[0], *beside([points(one) for one in fields[1:5]]))
