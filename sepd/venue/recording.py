"""Tapes merged by time into columns that a cursor can walk."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sepd.domain.market import Granularity, Instrument, Quote
from sepd.market.tape import Tape

Ints = NDArray[np.int64]


class Recording:
    """Every quote of several tapes in time order; on the same instant the earlier tape first.

    Attributes:
        instruments: what is priced, in the order of the tapes.
        times, which, bids, asks: int64 columns; `which` indexes `instruments`.
        own: per instrument the row numbers of its quotes.
        bars: per instrument the bar length of its tape; None where it holds ticks.
        start_ns, end_ns: first quote, and end of the last tape.
    """

    def __init__(self, tapes: Sequence[Tape]) -> None:
        named = {tape.instrument.name: tape.instrument for tape in tapes}
        self.instruments: tuple[Instrument, ...] = tuple(named.values())
        self.names = tuple(named)
        columns = np.concatenate([self._columns(tape) for tape in tapes], axis=1)
        columns = columns[:, np.argsort(columns[0], kind="stable")]
        self.times, self.which, self.bids, self.asks = (np.ascontiguousarray(c) for c in columns)
        self.own = [np.flatnonzero(self.which == number) for number in range(len(self.names))]
        self.bars: list[Granularity | None] = [None] * len(self.names)
        for tape in tapes:
            self.bars[self.names.index(tape.instrument.name)] = tape.granularity
        self.start_ns = int(self.times[0])
        self.end_ns = max(tape.end_ns for tape in tapes)

    def _columns(self, tape: Tape) -> Ints:
        number = self.names.index(tape.instrument.name)
        flat = chain.from_iterable(
            (quote.time_ns, number, quote.bid, quote.ask) for quote in tape.quotes()
        )
        return np.fromiter(flat, np.int64, 4 * tape.quote_count).reshape(-1, 4).T

    def __len__(self) -> int:
        return len(self.times)

    def quote(self, row: int) -> Quote:
        """The quote at `row`."""
        return Quote(
            self.names[int(self.which[row])],
            int(self.times[row]),
            int(self.bids[row]),
            int(self.asks[row]),
        )

    def last_row(self, number: int, before: int) -> int | None:
        """Newest row below `before` of instrument `number`."""
        own = self.own[number]
        place = int(np.searchsorted(own, before))
        return int(own[place - 1]) if place else None

    def closing_rows(self, granularity: Granularity | None) -> Ints:
        """Rows that are the first of their instrument in a new UTC-aligned period."""
        if granularity is None:
            return np.empty(0, np.int64)
        closing = []
        for own in self.own:
            period = self.times[own] // granularity.ns
            closing.append(own[1:][period[1:] != period[:-1]])
        return np.sort(np.concatenate(closing))
