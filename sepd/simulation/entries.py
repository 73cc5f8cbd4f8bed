"""Every entry against the limits, with all that its process must have counted beside it.

Beside an entry stands what was open at its checkpoint, and every order that was committed before
it was decided and that the broker filled after its checkpoint: such an order was under way then,
whatever the process believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from sepd.domain.order import OrderIntent
from sepd.settings import RiskSettings
from sepd.simulation.evidence import Truth
from sepd.simulation.exposure import Holding
from sepd.simulation.limits import broken
from sepd.simulation.record import Opened, Record

OLDEST_NS = 180_000_000_000
_MINUTE_NS = 57_000_000_000  # a process's clock may be off by as much as is left


class Entry(Struct, frozen=True):
    """An entry that was decided on `price` and committed at `committed_ns` of the broker's time."""

    intent: OrderIntent
    price: Decimal
    committed_ns: int


class Entries:
    """Judges entries when they are committed, and again when more is known of others.

    Args:
        late: names of orders that the broker carried out so late that nobody had to count them.
    """

    def __init__(self, record: Record, truth: Truth, limits: RiskSettings, late: set[str]) -> None:
        self._record = record
        self._truth = truth
        self._limits = limits
        self._late = late
        self._entries: dict[str, Entry] = {}

    def committed(self, entry: Entry) -> Iterator[str]:
        """What is wrong with an entry, as far as that is known when it is committed."""
        intent = entry.intent
        self._entries[intent.id] = entry
        yield from self._judged(entry)
        minute_ns = entry.committed_ns - _MINUTE_NS
        sent = sum(other.intent.created_ns > minute_ns for other in self._entries.values())
        if sent > self._limits.max_orders_per_minute:
            yield f"{intent.id} is entry {sent} in a minute"

    def filled(self, trade: Opened) -> Iterator[str]:
        """What is wrong with entries that were decided while the order of `trade` was under way."""
        first = self._entries.get(trade.name)
        if first is None:
            return
        for other in reversed(self._entries.values()):
            if other.intent.created_ns < first.committed_ns - OLDEST_NS:
                return
            if other is not first and self._beside(other, trade):
                yield from self._judged(other)

    def _judged(self, entry: Entry) -> Iterator[str]:
        intent = entry.intent
        pair = self._truth.pairs[intent.instrument]
        asked = Holding(pair, intent.units, entry.price, entry.price)
        held = [self._held(entry, trade) for trade in self._counted(entry)]
        for what in broken(intent, asked, held, self._record, self._limits, entry.committed_ns):
            yield f"{intent.id} is decided with {what}"

    def _counted(self, entry: Entry) -> Iterator[Opened]:
        """What the process must have counted beside an entry."""
        yield from self._record.open_at(entry.intent.checkpoint).values()
        for trade in self._record.opened_after(entry.intent.checkpoint):
            if self._beside(entry, trade):
                yield trade

    def _beside(self, entry: Entry, trade: Opened) -> bool:
        """Whether the order of a later trade was committed before the entry was decided."""
        other = self._entries.get(trade.name)
        return (
            other is not None
            and trade.name not in self._late
            and trade.transaction > entry.intent.checkpoint
            and other.committed_ns <= entry.intent.created_ns
            and other is not entry
        )

    def _held(self, entry: Entry, trade: Opened) -> Holding:
        """A trade at any price that the process may have known."""
        from_ns = entry.intent.created_ns - OLDEST_NS
        low, high = self._truth.span(trade.instrument, from_ns, entry.committed_ns)
        counted = trade.transaction <= entry.intent.checkpoint
        opened = trade.price if counted else None
        return Holding(self._truth.pairs[trade.instrument], trade.units, low, high, opened)
