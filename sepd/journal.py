"""The journal: everything that decisions depend on, in order, and the decisions.

Entries are written as JSON lines, a record per batch of events, compressed. Read back in order
(`entries`), they drive the same `Decider` to the same decisions.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec
from msgspec import Struct

from sepd.decide import Decision, Question
from sepd.domain.account import AccountEvent, AccountSnapshot
from sepd.domain.event import MarketEvent
from sepd.domain.market import Instrument
from sepd.domain.order import OrderIntent
from sepd.execution.ledger import Ledger
from sepd.ports import JournalRecord, StoredState

KIND = "entries"
_LEVEL = 1


class Started(Struct, frozen=True, tag=True):
    """A node starts: settings without secrets (JSON), and what it recovered.

    `closes` are of the candles that correlations are measured from: per pair by start, ns.
    """

    version: str
    settings: str
    account_id: str
    now_ns: int
    instruments: tuple[Instrument, ...]
    snapshot: AccountSnapshot
    state: StoredState
    closes: dict[str, dict[int, int]] = {}


class Arrived(Struct, frozen=True, gc=False, tag=True):
    """A batch of events is taken off the queue; readings are made at its end."""

    events: tuple[MarketEvent, ...]


class Reserved(Struct, frozen=True, gc=False, tag=True):
    """An intent counts as held."""

    intent: OrderIntent


class Released(Struct, frozen=True, gc=False, tag=True):
    """An intent is no exposure any more."""

    intent_id: str


class Blocked(Struct, frozen=True, tag=True):
    """Entries of an instrument are blocked for a cause."""

    instrument: str
    cause: str


class Unblocked(Struct, frozen=True, tag=True):
    """One cause of a block is lifted."""

    instrument: str
    cause: str


class Killed(Struct, frozen=True, tag=True):
    """The kill switch is latched with a reason, or released by an empty one."""

    reason: str


class Booked(Struct, frozen=True, gc=False, tag=True):
    """An account event reaches the book."""

    event: AccountEvent


class Asked(Struct, frozen=True, gc=False, tag=True):
    """The rule is asked."""

    question: Question


class Decided(Struct, frozen=True, gc=False, tag=True):
    """What was decided on the question before."""

    decision: Decision


Entry = (
    Started
    | Arrived
    | Reserved
    | Released
    | Blocked
    | Unblocked
    | Killed
    | Booked
    | Asked
    | Decided
)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


class Journal:
    """Collects entries in order; `take` hands them over as one record.

    `fingerprint` is a hash over all decisions so far.
    """

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._noted = 0
        self._time_ns = 0
        self._sequence = 0
        self._decisions = hashlib.sha256()

    def __len__(self) -> int:
        """Entries added since the last record was taken."""
        return len(self._entries)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the bytes of every decision, in order."""
        self._note()
        return self._decisions.hexdigest()

    def add(self, entry: Entry) -> None:
        """Append an entry; it is encoded when it is taken, for an order may be waiting."""
        self._entries.append(entry)

    def take(self) -> JournalRecord | None:
        """Everything since the last call as one record; None where nothing was added."""
        if not self._entries:
            return None
        self._note()
        lines = _encoder.encode_lines(self._entries)
        body = zlib.compress(lines, _LEVEL)
        record = JournalRecord(KIND, self._time_ns, self._sequence, len(self._entries), body)
        self._entries.clear()
        self._noted = 0
        return record

    def _note(self) -> None:
        """Where the entries added since the last call stand, and what they decide."""
        for entry in islice(self._entries, self._noted, None):
            match entry:
                case Started():
                    self._time_ns = entry.now_ns
                case Arrived():
                    self._sequence = entry.events[0].sequence
                case Asked():
                    self._time_ns = entry.question.closed_ns
                case Decided():
                    self._decisions.update(_encoder.encode(entry.decision) + b"\n")
        self._noted = len(self._entries)


def entries(records: Iterable[JournalRecord]) -> Iterator[Entry]:
    """The entries of journal records, in order."""
    for record in records:
        if record.kind == KIND:
            yield from _decoder.decode_lines(zlib.decompress(record.body))


class JournaledLedger:
    """A ledger whose every change is journaled before it happens."""

    def __init__(self, ledger: Ledger, journal: Journal) -> None:
        self._ledger = ledger
        self._journal = journal

    @property
    def killed(self) -> str:
        """Why no entry may leave, or empty."""
        return self._ledger.killed

    @killed.setter
    def killed(self, reason: str) -> None:
        self._journal.add(Killed(reason))
        self._ledger.killed = reason

    def reserve(self, intent: OrderIntent) -> None:
        """The intent counts as held."""
        self._journal.add(Reserved(intent))
        self._ledger.reserve(intent)

    def release(self, intent_id: str) -> None:
        """It does not any more."""
        self._journal.add(Released(intent_id))
        self._ledger.release(intent_id)

    def block(self, instrument: str, cause: str) -> None:
        """No entries of the instrument until the cause is lifted."""
        self._journal.add(Blocked(instrument, cause))
        self._ledger.block(instrument, cause)

    def unblock(self, instrument: str, cause: str) -> None:
        """Lift the cause."""
        self._journal.add(Unblocked(instrument, cause))
        self._ledger.unblock(instrument, cause)

    def apply(self, event: AccountEvent) -> bool:
        """Take an account event; False if it was taken before."""
        self._journal.add(Booked(event))
        return self._ledger.apply(event)

    def exits(self, trade_id: int) -> bool:
        """Whether an exit of this trade is under way."""
        return self._ledger.exits(trade_id)
