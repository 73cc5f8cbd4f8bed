"""What the watcher reports, and what it holds the daemon's candles against."""

from __future__ import annotations

from msgspec import Struct

from sepd.market.tape import Tape
from sepd.simulation.prices import BASE, STEP_NS
from sepd.venue.ledger import Row

_SHOWN = ("reason", "rejectReason", "units", "price", "tradeID", "orderID", "accountBalance")


class Violation(Struct, frozen=True):
    """An invariant that did not hold."""

    rule: str
    what: str
    at_s: float


def true_candles(tape: Tape) -> dict[int, tuple[int, int, int, int]]:
    """Bid candles of `BASE` by start, from all quotes of the tape."""
    per_candle = BASE.ns // STEP_NS
    times, bids = tape.columns[0], tape.columns[1]
    found = {}
    for first in range(0, len(times), per_candle):
        part = bids[first : first + per_candle]
        found[times[first]] = (part[0], max(part), min(part), part[-1])
    return found


def describe(row: Row) -> str:
    """A transaction in a line."""
    parts = [row["id"], row["type"], *(f"{key}={row[key]}" for key in _SHOWN if key in row)]
    name = row.get("clientOrderID") or row.get("clientExtensions", {}).get("id", "")
    return " ".join([*parts, name])
