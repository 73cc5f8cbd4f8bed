"""Lines of a price file become checked columns of integers, in time order."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice, pairwise
from typing import IO

from sepd.domain.market import Granularity
from sepd.market.layouts import Columns, Layout, RowRefused
from sepd.market.rows import Fault, Rejections, bar_fault, text_fault, tick_fault

BURST_NS = 100_000_000
_BLOCK = 1 << 18
_LINE_LIMIT = 1 << 16
_GRANULARITY = re.compile(r"(?<![A-Z0-9])(S5|S10|S15|S30|M1|M2|M4|M5|M10|M15|M30|H\d\d?|D|W)\.")


def lines_of(stream: IO[str]) -> Iterator[str]:
    """Lines without their ends; an endless one is cut, so that memory stays bounded."""
    rest = ""
    while block := stream.read(_BLOCK):
        lines = (rest + block).split("\n")
        rest = lines.pop()
        if len(rest) > _LINE_LIMIT:
            lines.append(rest)
            rest = ""
        yield from lines
    if rest:
        yield rest


def read_ticks(
    lines: Iterable[tuple[int, str]], layout: Layout, rejected: Rejections
) -> list[array[int]]:
    """Columns time_ns, bid, ask of the legal ticks; the others go to `rejected`."""
    times, bids, asks = (array("q") for _ in range(3))
    parse = layout.parse
    last: Columns = (0, 0, 0)
    before_ns = 0
    for number, line in lines:
        try:
            row = parse(line)
        except ValueError as error:
            _refuse(rejected, number, line, error)
            continue
        fault = tick_fault(*row)
        if fault is None and row[0] <= last[0]:
            fault = _tick_order_fault(row, last, before_ns)
        if fault is not None:
            rejected.add(number, fault, line)
            continue
        if row[0] != last[0]:
            before_ns = last[0]
        last = row
        times.append(row[0])
        bids.append(row[1])
        asks.append(row[2])
    return [times, bids, asks]


def _tick_order_fault(row: Columns, last: Columns, before_ns: int) -> Fault | None:
    """Fault of a tick not later than the one before it.

    Recorded times have milliseconds, so different quotes may share one, and so may two equal
    quotes while the feed bursts (another tick within `BURST_NS` before). An equal quote outside
    a burst is a row that was written twice.
    """
    if row[0] < last[0]:
        return Fault.OUT_OF_ORDER
    return Fault.DUPLICATE if row == last and row[0] - before_ns > BURST_NS else None


def read_bars(
    lines: Iterable[tuple[int, str]], layout: Layout, granularity: Granularity, rejected: Rejections
) -> list[array[int]]:
    """Columns time_ns, eight prices and volume of the legal bars; the rest to `rejected`."""
    columns = [array("q") for _ in range(10)]
    last_ns = -1
    for number, line in lines:
        try:
            row = layout.parse(line)
        except ValueError as error:
            _refuse(rejected, number, line, error)
            continue
        fault = bar_fault(row[0], row[1:5], row[5:9]) or _bar_order_fault(
            row[0], last_ns, granularity
        )
        if fault is not None:
            rejected.add(number, fault, line)
            continue
        last_ns = row[0]
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return columns


def _bar_order_fault(time_ns: int, last_ns: int, granularity: Granularity) -> Fault | None:
    """Fault of a bar's start. Longer bars than H1 are aligned to New York, so only H1 is asked."""
    if time_ns % min(granularity.ns, Granularity.H1.ns):
        return Fault.MISALIGNED
    if time_ns == last_ns:
        return Fault.DUPLICATE
    return Fault.OUT_OF_ORDER if time_ns < last_ns + granularity.ns and last_ns >= 0 else None


def _refuse(rejected: Rejections, number: int, line: str, error: ValueError) -> None:
    """Count a line that did not parse; an empty one is nothing at all."""
    if isinstance(error, RowRefused):
        rejected.add(number, error.fault, line)
    elif line.strip():
        rejected.add(number, text_fault(line), line)


def granularity_of(
    name: str, lines: Iterator[tuple[int, str]], layout: Layout
) -> tuple[Granularity | None, Iterator[tuple[int, str]]]:
    """Bar length from the layout, the file's name, or the commonest step of the first rows.

    Returns it, or None, with the lines, none of them lost.
    """
    if layout.granularity:
        return layout.granularity, lines
    if (named := _GRANULARITY.search(name)) and named[1] in Granularity.__members__:
        return Granularity(named[1]), lines
    head = list(islice(lines, 256))
    times = []
    for _, line in head:
        try:
            times.append(layout.parse(line)[0])
        except ValueError:
            continue
    steps = Counter(later - earlier for earlier, later in pairwise(times) if later > earlier)
    step = max(steps, key=lambda one: (steps[one], -one), default=0)
    known = next((length for length in Granularity if length.ns == step), None)
    return known, chain(head, lines)
