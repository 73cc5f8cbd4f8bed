"""Replay: the journal's inputs through the same `Decider`, compared decision by decision."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from sepd.decide import Decider, Decision, Question
from sepd.domain.market import Candle, Quote
from sepd.errors import InputError
from sepd.journal import (
    Arrived,
    Asked,
    Blocked,
    Booked,
    Decided,
    Entry,
    Killed,
    Released,
    Reserved,
    Started,
    Unblocked,
)
from sepd.risk.book import Book
from sepd.settings import Settings
from sepd.signals.rule import Reading
from sepd.start import new_decider


class Difference(Struct, frozen=True):
    """A question that replay answers otherwise than the journal says."""

    question: Question
    recorded: Decision | None
    replayed: Decision | None


class Replayed(Struct, frozen=True):
    """What a replay came to; `differences` is empty where every byte agrees."""

    events: int
    questions: int
    decisions: int
    differences: list[Difference]


class Witness(Struct, frozen=True):
    """What was known when a decision was made: readings with their bits, and the newest price.

    `bits` are oldest first; metrics are Q14.
    """

    decision: Decision
    question: Question
    started: Started
    quote: Quote | None
    readings: dict[str, Reading]
    bits: dict[str, str]


class Replay:
    """Takes journal entries in order and remembers what does not agree.

    Args:
        of_signal: `witness` shows how this signal came about.
    """

    def __init__(self, of_signal: str = "") -> None:
        self.witness: Witness | None = None
        self._of_signal = of_signal
        self._started: Started | None = None
        self.events = 0
        self.questions = 0
        self.decisions = 0
        self.differences: list[Difference] = []
        self._decider: Decider | None = None
        self._question: Question | None = None
        self._answer: Decision | None = None
        self._completed: list[Candle] = []

    def take(self, entries: Iterable[Entry]) -> None:
        """Replay the next `entries`.

        Raises:
            InputError: the journal does not begin with the start of a node.
        """
        for entry in entries:
            self._take(entry)

    def finish(self) -> Replayed:
        """What it came to, after the last entry."""
        self._settle(None)
        return Replayed(self.events, self.questions, self.decisions, self.differences)

    def _take(self, entry: Entry) -> None:
        match entry:
            case Started():
                self._settle(None)
                self._completed.clear()
                self._started = entry
                settings = Settings.model_validate_json(entry.settings)
                self._decider = new_decider(settings, entry)
            case Asked():
                self._settle(None)
                self.questions += 1
                self._question = entry.question
                self._answer = self._current.decide(entry.question)
            case Decided():
                self.decisions += 1
                if entry.decision.signal.id == self._of_signal:
                    self._look(entry.decision)
                self._settle(entry.decision)
            case Arrived():
                self._settle(None)
                self._catch_up()
                self.events += len(entry.events)
                for event in entry.events:
                    for candles in self._current.take(event.payload).values():
                        self._completed += candles
                self._current.read()
            case _:
                self._settle(None)
                _change(self._current.book, entry)

    def _catch_up(self) -> None:
        """All questions on a batch have been asked: learn the rest from its candles."""
        self._current.catch_up(self._completed)
        self._completed.clear()

    def _look(self, decision: Decision) -> None:
        """Remember what is known now."""
        name = decision.signal.instrument
        series = self._current.views[name].series
        if self._question is not None and self._started is not None:
            self.witness = Witness(
                decision=decision,
                question=self._question,
                started=self._started,
                quote=self._current.book.quotes.get(name),
                readings={g: one.reading for g, one in series.items() if one.reading},
                bits={g: "".join(map(str, one.bits())) for g, one in series.items()},
            )

    @property
    def _current(self) -> Decider:
        if self._decider is None:
            raise InputError("The journal does not begin with the start of a node.")
        return self._decider

    def _settle(self, recorded: Decision | None) -> None:
        """Compare the open question's answer with what was recorded, byte for byte."""
        if self._question is None:
            return
        if msgspec.json.encode(recorded) != msgspec.json.encode(self._answer):
            self.differences.append(Difference(self._question, recorded, self._answer))
        self._question = self._answer = None


def _change(book: Book, entry: Entry) -> None:
    """One entry of the ledger."""
    match entry:
        case Booked():
            book.apply(entry.event)
        case Reserved():
            book.reserve(entry.intent)
        case Released():
            book.release(entry.intent_id)
        case Blocked():
            book.block(entry.instrument, entry.cause)
        case Unblocked():
            book.unblock(entry.instrument, entry.cause)
        case Killed():
            book.killed = entry.reason
