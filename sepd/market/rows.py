"""Rows of recorded prices: what is legal, and what became of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from sepd.domain.time import NS_PER_S

PRICE_LIMIT = 10**12
"""Points; anything at or above it is refused as absurd."""
TIME_LIMIT = 4_102_444_800 * NS_PER_S
"""2100-01-01; an instant outside 1970 … 2100 is refused as absurd."""


class Fault(StrEnum):
    """Why a row is refused."""

    MALFORMED = "malformed"
    NAN = "nan"
    NEGATIVE = "negative"
    ZERO = "zero"
    ABSURD = "absurd"
    CROSSED = "crossed"
    INCONSISTENT = "inconsistent"
    MISALIGNED = "misaligned"
    REPEATED = "repeated without ticks"
    OUT_OF_ORDER = "out of order"
    DUPLICATE = "duplicate"


class RejectedRow(Struct, frozen=True):
    """A refused row: its line number in the file (the header is 1), why, and its text."""

    row: int
    reason: Fault
    text: str


class Rejections:
    """Refused rows: all counted by reason, the first `limit` of them listed."""

    def __init__(self, limit: int = 1_000) -> None:
        self._limit = limit
        self.by_reason: Counter[Fault] = Counter()
        self.listed: list[RejectedRow] = []

    @property
    def total(self) -> int:
        """Rows refused for whatever reason."""
        return self.by_reason.total()

    def add(self, row: int, reason: Fault, text: str) -> None:
        """Count a refused row; at most 120 characters of its text are kept."""
        self.by_reason[reason] += 1
        if len(self.listed) < self._limit:
            self.listed.append(RejectedRow(row, reason, text[:120]))


def text_fault(text: str) -> Fault:
    """Why a line that could not be read was refused, from its look."""
    fields = [field.strip().lower() for field in text.split(",")[1:]]
    if any(field in {"nan", "null", "none", "n/a", ""} for field in fields):
        return Fault.NAN
    if any(field.startswith("-") and field[1:].replace(".", "", 1).isdigit() for field in fields):
        return Fault.NEGATIVE
    return Fault.MALFORMED


def tick_fault(time_ns: int, bid: int, ask: int) -> Fault | None:
    """Why a tick is refused on its own merits; None for a legal one. Zero spread is legal."""
    if 0 < bid <= ask < PRICE_LIMIT and 0 <= time_ns < TIME_LIMIT:
        return None
    if min(bid, ask) < 0:
        return Fault.NEGATIVE
    if not bid or not ask:
        return Fault.ZERO
    if max(bid, ask) >= PRICE_LIMIT or not 0 <= time_ns < TIME_LIMIT:
        return Fault.ABSURD
    return Fault.CROSSED


def bar_fault(time_ns: int, bid: Sequence[int], ask: Sequence[int]) -> Fault | None:
    """Why a bar (open, high, low, close of bid and of ask) is refused on its own merits."""
    for one_bid, one_ask in zip(bid, ask, strict=True):
        if fault := tick_fault(time_ns, one_bid, one_ask):
            return fault
    for first, high, low, last in (bid, ask):
        if high < max(first, last, low) or low > min(first, last):
            return Fault.INCONSISTENT
    return None
