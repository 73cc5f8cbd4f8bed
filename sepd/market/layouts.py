"""Text layouts of recorded prices: the header decides which one a file has.

| layout | columns |
|---|---|
| tick | time, bid, ask |
| bar  | time, bid_open … bid_close, ask_open … ask_close, and perhaps volume |
| mid bar | an unnamed time, Open, High, Low, Close, and perhaps Volume |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct

from sepd.domain.market import Granularity, parse_points
from sepd.domain.time import parse_time
from sepd.market.blocks import Ints, parse_block
from sepd.market.rows import Fault

Columns = tuple[int, ...]
TICK_HEADER = "time,bid,ask"
BAR_HEADER = "time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close"
_MID_HEADERS = frozenset({",open,high,low,close", "time,open,high,low,close"})
_COUNT = re.compile(r"[0-9]{1,15}(\.0{1,9})?")


class Layout(Struct, frozen=True):
    """How a line becomes integers.

    A tick gives (time_ns, bid, ask); a bar (time_ns, bid open/high/low/close, ask
    open/high/low/close, volume). Prices are points. `parse` raises `ValueError` for a line that
    has not this layout. `granularity` is set where the layout tells it;
    `both_sides` is false where one side or the middle was recorded; `block` reads many
    plain lines at once.
    """

    name: str
    is_tick: bool
    parse: Callable[[str], Columns]
    granularity: Granularity | None = None
    has_header: bool = True
    both_sides: bool = True
    block: Callable[[str], Ints | None] | None = None


class RowRefused(ValueError):
    """A row whose text is well formed and which is refused all the same."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def layout_of(header: str, precision: int, spread_points: int) -> Layout | None:
    """The layout that a header line announces; None for an unknown one.

    Args:
        header: first line of the file, without its end.
        precision: decimals of a point.
        spread_points: ask − bid that mid prices are given.
    """
    names = header.strip().lower()
    columns, has_volume = names.removesuffix(",volume"), names.endswith(",volume")
    if names == TICK_HEADER:
        block = partial(parse_block, prices=2, precision=precision)
        return Layout("tick", True, partial(_tick, precision=precision), block=block)
    if columns == BAR_HEADER:
        parse = partial(_bar, precision=precision, has_volume=has_volume)
        block = partial(parse_block, prices=8, precision=precision, has_volume=has_volume)
        return Layout("bar", False, parse, block=block)
    if columns in _MID_HEADERS:
        parse = partial(_mid, precision=precision, spread_points=spread_points)
        return Layout("mid bar", False, parse, both_sides=False)
    return None


def _tick(line: str, precision: int) -> Columns:
    time, bid, ask = line.split(",")
    return parse_time(time), parse_points(bid, precision), parse_points(ask, precision)


def _bar(line: str, precision: int, has_volume: bool) -> Columns:
    fields = line.split(",")
    if len(fields) != 9 + has_volume:
        raise ValueError(f"{len(fields)} fields")
    prices = [parse_points(field, precision) for field in fields[1:9]]
    return (parse_time(fields[0]), *prices, parse_count(fields[9]) if has_volume else 0)


def _mid(line: str, precision: int, spread_points: int) -> Columns:
    time, *fields = line.split(",")
    if len(fields) not in {4, 5}:
        raise ValueError(f"{len(fields)} fields")
    mids = [parse_points(field, precision) for field in fields[:4]]
    volume = parse_count(fields[4]) if len(fields) == 5 else 0
    instant = parse_time(time if time.endswith("Z") else time + "Z")
    return (instant, *around(mids, spread_points), volume)


def around(mids: Sequence[int], spread_points: int) -> tuple[int, ...]:
    """Bids, then asks, `spread_points` apart around `mids`, all in points.

    The spread is exact. Where it is odd, the middle would fall between two points and both
    prices lie half a point lower. A zero stays a zero, so that it is refused as one.
    """
    half = (spread_points + 1) // 2
    return beside([mid and mid - half for mid in mids], spread_points)


def beside(bids: Sequence[int], spread_points: int) -> tuple[int, ...]:
    """Bids, then asks `spread_points` above them; a zero stays a zero."""
    return (*bids, *(bid and bid + spread_points for bid in bids))


def parse_count(text: str) -> int:
    """A count such as `1413` or `1413.0`.

    Raises:
        ValueError: something else.
    """
    if not _COUNT.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a count")
    return int(text.partition(".")[0])
