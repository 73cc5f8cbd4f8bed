"""Lines of a price file become checked columns of integers, in time order."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import batched, chain, islice, pairwise
from typing import IO

import numpy as np

from sepd.domain.market import Granularity
from sepd.market.blocks import Ints
from sepd.market.layouts import Columns, Layout, RowRefused
from sepd.market.rows import (
    PRICE_LIMIT,
    TIME_LIMIT,
    Fault,
    Rejections,
    bar_fault,
    text_fault,
    tick_fault,
)

BURST_NS = 100_000_000
_BLOCK = 1 << 18
_LINE_LIMIT = 1 << 16
_BLOCK_LINES = 4_096
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
    return _read(lines, layout, _Ticks(rejected))


def read_bars(
    lines: Iterable[tuple[int, str]], layout: Layout, granularity: Granularity, rejected: Rejections
) -> list[array[int]]:
    """Columns time_ns, eight prices and volume of the legal bars; the rest to `rejected`."""
    return _read(lines, layout, _Bars(rejected, granularity))


def _read(
    lines: Iterable[tuple[int, str]], layout: Layout, rows: _Ticks | _Bars
) -> list[array[int]]:
    """A block at once where all of it is plain and legal, else line by line."""
    for chunk in batched(lines, _BLOCK_LINES):
        table = layout.block("".join(f"{line}\n" for _, line in chunk)) if layout.block else None
        if table is None or not rows.take_block(table):
            for number, line in chunk:
                try:
                    row = layout.parse(line)
                except ValueError as error:
                    _refuse(rows.rejected, number, line, error)
                else:
                    rows.take(number, line, row)
    return rows.columns


class _Ticks:
    """Legal ticks so far, and what the next one is compared with."""

    def __init__(self, rejected: Rejections) -> None:
        self.rejected = rejected
        self.columns = [array("q") for _ in range(3)]
        self._last: Columns = (0, 0, 0)
        self._before_ns = 0

    def take(self, number: int, line: str, row: Columns) -> None:
        """Accept or refuse one row."""
        fault = tick_fault(*row)
        if fault is None and row[0] <= self._last[0]:
            fault = self._order_fault(row)
        if fault is not None:
            self.rejected.add(number, fault, line)
            return
        if row[0] != self._last[0]:
            self._before_ns = self._last[0]
        self._last = row
        for column, value in zip(self.columns, row, strict=True):
            column.append(value)

    def take_block(self, table: Ints) -> bool:
        """Accept all rows, or none of them if any is not plainly legal."""
        times, bids, asks = np.ascontiguousarray(table.T)
        legal = (bids > 0) & (bids <= asks) & (asks < PRICE_LIMIT) & (times < TIME_LIMIT)
        steps = np.diff(times, prepend=self._last[0])
        if not legal.all() or times[0] <= self._last[0] or times[0] < 0 or (steps < 0).any():
            return False
        equal = (steps[1:] == 0) & (np.diff(bids) == 0) & (np.diff(asks) == 0)
        if equal.any():
            return False
        earlier = int(np.searchsorted(times, times[-1]))
        self._before_ns = int(times[earlier - 1]) if earlier else self._last[0]
        self._last = (int(times[-1]), int(bids[-1]), int(asks[-1]))
        _extend(self.columns, (times, bids, asks))
        return True

    def _order_fault(self, row: Columns) -> Fault | None:
        """Fault of a tick not later than the one before it.

        Recorded times have milliseconds, so different quotes may share one, and so may two
        equal quotes while the feed bursts (another tick within `BURST_NS` before). An equal
        quote outside a burst is a row that was written twice.
        """
        if row[0] < self._last[0]:
            return Fault.OUT_OF_ORDER
        bursts = row[0] - self._before_ns <= BURST_NS
        return Fault.DUPLICATE if row == self._last and not bursts else None


class _Bars:
    """Legal bars so far, and the start of the last one."""

    def __init__(self, rejected: Rejections, granularity: Granularity) -> None:
        self.rejected = rejected
        self.columns = [array("q") for _ in range(10)]
        self._length_ns = granularity.ns
        self._aligned_ns = min(granularity.ns, Granularity.H1.ns)
        self._last_ns = -granularity.ns

    def take(self, number: int, line: str, row: Columns) -> None:
        """Accept or refuse one row."""
        fault = bar_fault(row[0], row[1:5], row[5:9]) or self._order_fault(row[0])
        if fault is not None:
            self.rejected.add(number, fault, line)
            return
        self._last_ns = row[0]
        for column, value in zip(self.columns, row, strict=True):
            column.append(value)

    def take_block(self, table: Ints) -> bool:
        """Accept all rows, or none of them if any is not plainly legal."""
        columns = np.ascontiguousarray(table.T)
        times, bid, ask = columns[0], columns[1:5], columns[5:9]
        legal = (bid > 0) & (bid <= ask) & (ask < PRICE_LIMIT)
        highs = (bid[1] == bid.max(axis=0)) & (ask[1] == ask.max(axis=0))
        lows = (bid[2] == bid.min(axis=0)) & (ask[2] == ask.min(axis=0))
        steps = np.diff(times, prepend=self._last_ns)
        in_order = (steps >= self._length_ns) & (times % self._aligned_ns == 0)
        in_time = (times >= 0) & (times < TIME_LIMIT)
        if not (legal.all() and (highs & lows & in_order & in_time).all()):
            return False
        self._last_ns = int(times[-1])
        volumes = columns[9] if len(columns) > 9 else np.zeros_like(times)
        _extend(self.columns, (*columns[:9], volumes))
        return True

    def _order_fault(self, time_ns: int) -> Fault | None:
        """Fault of a bar's start. Longer bars than H1 are aligned to New York: only H1 counts."""
        if time_ns % self._aligned_ns:
            return Fault.MISALIGNED
        if time_ns == self._last_ns:
            return Fault.DUPLICATE
        return Fault.OUT_OF_ORDER if time_ns < self._last_ns + self._length_ns else None


def _extend(columns: list[array[int]], values: Iterable[Ints]) -> None:
    for column, more in zip(columns, values, strict=True):
        column.frombytes(more.tobytes())


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
