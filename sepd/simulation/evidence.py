"""What the watcher reports, and the truth about prices that it holds the daemon against."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby

from msgspec import Struct

from sepd.domain.market import Candle, Instrument
from sepd.market.tape import Tape
from sepd.simulation.prices import BASE
from sepd.venue.ledger import Row

_SHOWN = ("reason", "rejectReason", "units", "price", "tradeID", "orderID", "accountBalance")

Prices = tuple[int, int, int, int]
Quoted = tuple[int, int, int]


class Violation(Struct, frozen=True):
    """An invariant that did not hold."""

    rule: str
    what: str
    at_s: float


class Truth:
    """Every quote that is played.

    Attributes:
        pairs: what is priced, by name.
    """

    def __init__(self, tapes: Sequence[Tape]) -> None:
        self.pairs: dict[str, Instrument] = {t.instrument.name: t.instrument for t in tapes}
        self._columns = {tape.instrument.name: tape.columns for tape in tapes}
        self._quotes = {name: set(zip(*rows, strict=True)) for name, rows in self._columns.items()}
        self._candles = {name: _candles(*rows[:2]) for name, rows in self._columns.items()}

    def holds(self, instrument: str, quote: Quoted) -> bool:
        """Whether there is such a quote: time, bid, ask."""
        return quote in self._quotes[instrument]

    def candle(self, candle: Candle) -> Prices | None:
        """What the prices of the bid should be in a candle of `BASE`."""
        return self._candles[candle.instrument].get(candle.time_ns)

    def span(self, instrument: str, from_ns: int, to_ns: int) -> tuple[Decimal, Decimal]:
        """Lowest bid and highest ask that were the newest at some instant of a stretch."""
        times, bids, asks = self._columns[instrument]
        first = max(0, bisect_right(times, from_ns) - 1)
        last = max(first + 1, bisect_left(times, to_ns + 1))
        point = self.pairs[instrument].point
        return min(bids[first:last]) * point, max(asks[first:last]) * point


def _candles(times: Sequence[int], bids: Sequence[int]) -> dict[int, Prices]:
    """Bid candles of `BASE` by start."""
    found = {}
    of_start = groupby(zip(times, bids, strict=True), lambda quote: BASE.floor(quote[0]))
    for start_ns, quotes in of_start:
        part = [bid for _, bid in quotes]
        found[start_ns] = (part[0], max(part), min(part), part[-1])
    return found


def describe(row: Row) -> str:
    """A transaction in a line."""
    parts = [row["id"], row["type"], *(f"{key}={row[key]}" for key in _SHOWN if key in row)]
    name = row.get("clientOrderID") or row.get("clientExtensions", {}).get("id", "")
    return " ".join([*parts, name])
