"""Price files of others: QuantConnect LEAN, Dukascopy and HistData.

| origin | file | columns | time |
|---|---|---|---|
| LEAN | `20140501_eurusd_minute_quote.csv` | ms, bid o/h/l/c, size, ask o/h/l/c, size | UTC |
| LEAN | `20140501_eurusd_tick_quote.csv` | ms, bid, ask | UTC |
| LEAN | `eurusd.csv`, hour or daily | `YYYYMMDD HH:MM`, as minute | UTC |
| Dukascopy | any, header `Gmt time,Ask,Bid,…` | ticks | UTC |
| Dukascopy | `…_BID_…` or `…_ASK_…`, header `Gmt time,Open,…` | one side and a volume | UTC |
| HistData | `DAT_ASCII_EURUSD_M1_2012.csv` | `YYYYMMDD HHMMSS;` bid o;h;l;c;volume | UTC−5 |
| HistData | `DAT_MT_EURUSD_M1_2012.csv` | date, time, bid o/h/l/c, volume | UTC−5 |
| HistData | `DAT_ASCII_EURUSD_T_201202.csv` | `YYYYMMDD HHMMSSmmm`, bid, ask, volume | UTC−5 |

Definitions: LEAN's Data/forex/readme.md; HistData's data file specification. Where one side only
was recorded, the other lies the stated spread away. Sizes and volumes there are not counts of
quotes and are dropped. A Dukascopy bar of volume zero repeats an old price and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from sepd.domain.market import Granularity, parse_points
from sepd.domain.time import NS_PER_S, parse_time
from sepd.market.layouts import Columns, Layout, RowRefused, beside
from sepd.market.rows import Fault

_EST_NS = 5 * 3600 * NS_PER_S
"""HistData's clock is Eastern Standard Time all year."""
_LEAN_NAME = re.compile(r"(\d{4})(\d\d)(\d\d)_[a-z0-9]+_(minute|tick)_quote\.csv")
_LEAN_BAR = re.compile(r"\d{8} \d\d:\d\d(,[^,]*){10}")
_HIST_BAR = re.compile(r"\d{8} \d{6}(;[^;]*){5}")
_HIST_MT = re.compile(r"\d{4}\.\d\d\.\d\d,\d\d:\d\d(,[^,]*){5}")
_HIST_TICK = re.compile(r"\d{8} \d{9}(,[^,]*){3}")
_DATE = r"(?P<Y>[0-9]{4})(?P<M>[0-9]{2})(?P<D>[0-9]{2}) "
_LEAN_TIME = re.compile(_DATE + r"(?P<h>[0-9]{2}):(?P<m>[0-9]{2})")
_BAR_TIME = re.compile(_DATE + r"(?P<h>[0-9]{2})(?P<m>[0-9]{2})(?P<s>[0-9]{2})")
_TICK_TIME = re.compile(_BAR_TIME.pattern + r"(?P<ms>[0-9]{3})")
_DOTTED = re.compile(r"(\d\d)\.(\d\d)\.(\d{4}) (\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?: GMT[+-]0000)?")
_DUKASCOPY_TIMES = frozenset({"gmttime", "time(utc)", "utc", "timestamp"})
_DUKASCOPY_TICKS = frozenset(
    {
        ("ask", "bid"),
        ("ask", "bid", "askvolume", "bidvolume"),
        ("askprice", "bidprice"),
        ("askprice", "bidprice", "askvolume", "bidvolume"),
    }
)


def foreign_layout(
    first_line: str, file_name: str, precision: int, spread_points: int
) -> Layout | None:
    """The layout of another program's file, by its first line and name; None if unknown."""
    line = first_line.strip()
    lean = _LEAN_NAME.fullmatch(file_name)
    if lean:
        return _lean_day(lean, precision)
    if _LEAN_BAR.fullmatch(line):
        parse = _bars(",", (1, 6), lambda fields: _compact_ns(fields[0], _LEAN_TIME), precision)
        return Layout("LEAN bar", False, parse, has_header=False)
    if _HIST_TICK.fullmatch(line):
        return Layout("HistData tick", True, _hist_tick(precision), has_header=False)
    if _HIST_BAR.fullmatch(line):
        parse = _one_side(";", _bar_ns, 1, precision, spread_points)
        return Layout("HistData bar", False, parse, Granularity.M1, False, both_sides=False)
    if _HIST_MT.fullmatch(line):
        parse = _one_side(",", _metatrader_ns, 2, precision, spread_points)
        return Layout("HistData bar", False, parse, Granularity.M1, False, both_sides=False)
    return _dukascopy(line, file_name, precision, spread_points)


def _lean_day(name: re.Match[str], precision: int) -> Layout:
    """A file of one day, whose times count milliseconds from its midnight."""
    midnight = parse_time(f"{name[1]}-{name[2]}-{name[3]}T00:00:00Z")

    def at(fields: Sequence[str]) -> int:
        return midnight + parse_points(fields[0], 6)

    if name[4] == "minute":
        parse = _bars(",", (1, 6), at, precision)
        return Layout("LEAN minute", False, parse, Granularity.M1, has_header=False)

    def tick(line: str) -> Columns:
        fields = line.split(",")
        if len(fields) != 3:
            raise ValueError(f"{len(fields)} fields")
        return at(fields), parse_points(fields[1], precision), parse_points(fields[2], precision)

    return Layout("LEAN tick", True, tick, has_header=False)


def _bars(
    separator: str, sides: tuple[int, int], at: Callable[[Sequence[str]], int], precision: int
) -> Callable[[str], Columns]:
    """Bars of both sides, each four prices and a size."""
    bid, ask = sides

    def parse(line: str) -> Columns:
        fields = line.split(separator)
        if len(fields) != 11:
            raise ValueError(f"{len(fields)} fields")
        prices = [*fields[bid : bid + 4], *fields[ask : ask + 4]]
        return (at(fields), *(parse_points(price, precision) for price in prices), 0)

    return parse


def _one_side(
    separator: str,
    at: Callable[[Sequence[str]], int],
    first: int,
    precision: int,
    spread_points: int,
) -> Callable[[str], Columns]:
    """Bars of the bid: four prices from field `first`, then a volume."""

    def parse(line: str) -> Columns:
        fields = line.split(separator)
        if len(fields) != first + 5:
            raise ValueError(f"{len(fields)} fields")
        prices = [parse_points(price, precision) for price in fields[first : first + 4]]
        return (at(fields), *beside(prices, spread_points), 0)

    return parse


def _hist_tick(precision: int) -> Callable[[str], Columns]:
    def parse(line: str) -> Columns:
        time, bid, ask, _ = line.split(",")
        return (
            _compact_ns(time, _TICK_TIME) + _EST_NS,
            parse_points(bid, precision),
            parse_points(ask, precision),
        )

    return parse


def _dukascopy(header: str, file_name: str, precision: int, spread_points: int) -> Layout | None:
    names = header.lower().replace(" ", "").replace("_", "").split(",")
    if names[0] not in _DUKASCOPY_TIMES:
        return None
    if tuple(names[1:]) in _DUKASCOPY_TICKS:
        return Layout("Dukascopy tick", True, _dukascopy_tick(len(names), precision))
    if names[1:] != ["open", "high", "low", "close", "volume"]:
        return None
    is_ask = "_ASK_" in file_name.upper()
    parse = _dukascopy_bar(is_ask, precision, spread_points)
    return Layout("Dukascopy bar", False, parse, both_sides=False)


def _dukascopy_tick(columns: int, precision: int) -> Callable[[str], Columns]:
    def parse(line: str) -> Columns:
        fields = line.split(",")
        if len(fields) != columns:
            raise ValueError(f"{len(fields)} fields")
        ask, bid = (parse_points(field, precision) for field in fields[1:3])
        return _dukascopy_ns(fields[0]), bid, ask

    return parse


def _dukascopy_bar(is_ask: bool, precision: int, spread_points: int) -> Callable[[str], Columns]:
    def parse(line: str) -> Columns:
        time, *prices, volume = line.split(",")
        if len(prices) != 4:
            raise ValueError(f"{len(prices)} prices")
        points = [parse_points(price, precision) for price in prices]
        if not parse_points(volume, 9):
            raise RowRefused(Fault.REPEATED)
        if is_ask:
            points = [price and price - spread_points for price in points]
        return (_dukascopy_ns(time), *beside(points, spread_points), 0)

    return parse


def _dukascopy_ns(text: str) -> int:
    """`01.05.2014 00:00:00.292`, `2014.05.01 00:00:00.292`, or milliseconds since 1970."""
    if text.isascii() and text.isdecimal() and len(text) == 13:
        return int(text) * 1_000_000
    if found := _DOTTED.fullmatch(text):
        return parse_time(f"{found[3]}-{found[2]}-{found[1]}T{found[4]}Z")
    return parse_time(text[:10].replace(".", "-") + text[10:].removesuffix("Z") + "Z")


def _compact_ns(text: str, form: re.Pattern[str]) -> int:
    """`20140501 21:00`, `20120201 000100`, `20120201 000003660`: as `form` says."""
    found = form.fullmatch(text)
    if not found:
        raise ValueError(f"{text[:40]!r} is not a time")
    part = {"s": "00", "ms": "000", **found.groupdict()}
    return parse_time("{Y}-{M}-{D}T{h}:{m}:{s}.{ms}Z".format(**part))


def _bar_ns(fields: Sequence[str]) -> int:
    return _compact_ns(fields[0], _BAR_TIME) + _EST_NS


def _metatrader_ns(fields: Sequence[str]) -> int:
    return parse_time(f"{fields[0].replace('.', '-')}T{fields[1]}:00Z") + _EST_NS
