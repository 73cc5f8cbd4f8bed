"""The tape that a demo plays: what must be known of it, and settings that go with it."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from sepd.domain.market import Granularity
from sepd.market.rows import RejectedRow
from sepd.market.tape import open_tape
from sepd.settings import MarketSettings, RuleSettings, Settings

TICK_BASE = Granularity.M1
TICK_COARSER = (Granularity.M5, Granularity.M15, Granularity.H1)
TICK_RULE = (Granularity.M5, Granularity.M15)
LISTED_ROWS = 100


class TapeFacts(Struct, frozen=True):
    """What the demo must know of a tape before it is played."""

    path: Path
    instrument: str
    granularity: Granularity | None
    rows: int
    start_ns: int
    rejected: dict[str, int]
    rejected_rows: list[RejectedRow]


def read_facts(path: Path) -> TapeFacts:
    """Read the whole tape.

    Raises:
        InputError: it cannot be played.
    """
    tape = open_tape(path)
    rejected = {str(reason): count for reason, count in tape.rejected.by_reason.items()}
    return TapeFacts(
        path=path,
        instrument=tape.instrument.name,
        granularity=tape.granularity,
        rows=tape.rows,
        start_ns=tape.start_ns,
        rejected=rejected,
        rejected_rows=tape.rejected.listed[:LISTED_ROWS],
    )


def fit(settings: Settings, facts: TapeFacts) -> Settings:
    """The person's settings on this tape: its instrument, and candles it can be built into."""
    base = facts.granularity or TICK_BASE
    coarser = () if facts.granularity else TICK_COARSER
    rule = (facts.granularity,) if facts.granularity else TICK_RULE
    market = settings.market.model_dump() | {"base": base, "granularities": coarser}
    return settings.model_copy(
        update={
            "mode": "practice",
            "instruments": (facts.instrument,),
            "market": MarketSettings(**market),
            "rule": RuleSettings(**settings.rule.model_dump() | {"granularities": rule}),
        }
    )
