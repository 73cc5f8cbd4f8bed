"""Signals: an opinion about one instrument, with an expiry."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from sepd.domain.market import Granularity


class Action(StrEnum):
    """What a signal asks for."""

    BUY = "BUY"
    SELL = "SELL"
    CLOSE = "CLOSE"

    @property
    def sign(self) -> int:
        """+1 for BUY, −1 for SELL, 0 for CLOSE."""
        return _SIGNS[self]


_SIGNS = {Action.BUY: 1, Action.SELL: -1, Action.CLOSE: 0}


class Metrics(Struct, frozen=True, gc=False):
    """Damped window metrics of BITSPACE.md at the decision, Q14 (1.0 = 16384)."""

    coherence: int
    stability: int
    entropy: int
    polarity: int


INVALID = Metrics(-32768, -32768, -32768, -32768)


class Signal(Struct, frozen=True, gc=False):
    """One opinion. `confidence` is Q14; `rule` names what formed it.

    `metrics` are `INVALID` where the market gave no valid reading: a trade closed by its age.
    """

    id: str
    instrument: str
    granularity: Granularity
    action: Action
    confidence: int
    metrics: Metrics
    rule: str
    config_version: str
    created_ns: int
    valid_until_ns: int
