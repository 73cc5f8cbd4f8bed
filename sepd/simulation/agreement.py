"""Store and memory against the broker, whenever they claim to stand where the broker stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from sepd.risk.book import Book
from sepd.simulation.market import ACCOUNT
from sepd.simulation.process import Process
from sepd.simulation.record import Record
from sepd.simulation.store import Content
from sepd.simulation.trace import Trace
from sepd.venue.account import Account


class Agreement:
    """Compares books.

    Args:
        violated: told rule and sentence.
    """

    def __init__(
        self,
        account: Account,
        content: Content,
        record: Record,
        trace: Trace,
        violated: Callable[[str, str], None],
    ) -> None:
        self._account = account
        self._ledger = account.ledger
        self._content = content
        self._record = record
        self._trace = trace
        self._violated = violated
        self._living: list[Process] = []
        self._applied = 0
        self._believed: dict[int, int] = {}

    def started(self, process: Process) -> None:
        """A process starts; its belief is looked at while it lives."""
        self._living = [item for item in (*self._living, process) if item.alive]

    def step(self) -> None:
        """Look at whatever has moved."""
        newest = self._content.books(ACCOUNT).account.newest_transaction_id
        if newest != self._applied:
            self._applied = newest
            self._check_store()
        for process in self._living:
            book = process.book
            if book is not None and book.last_transaction_id != self._believed.get(process.number):
                if process.alive:
                    self._check_book(process, book)
                else:
                    self._living = [item for item in self._living if item.alive]

    def _check_store(self) -> None:
        """The store's books equal the broker's replay at the same transaction."""
        books = self._content.books(ACCOUNT)
        at = books.account.newest_transaction_id
        if at > self._ledger.last_id:
            self._violated("store_equals_broker", f"the store stands at {at}, which does not exist")
            return
        expected = self._record.balances[at]
        if books.account.balance != expected:
            self._violated(
                "store_equals_broker",
                f"balance {books.account.balance} at {at}, the broker had {expected}",
            )
        earned = sum((trade.profit_loss for trade in books.trades.values()), Decimal(0))
        if expected != self._account.config.balance + earned:
            self._violated("results_add_up", f"trades earned {earned}, not what made {expected}")
        day = books.account.day
        if day is not None and day.opening_balance + day.realized_pl != expected:
            self._violated("results_add_up", f"the day's {day} does not lead to {expected}")
        if books.account.last_transaction_id == self._ledger.last_id:
            still = {key: t for key, t in books.trades.items() if t.closed_ns is None}
            trades = {key: (t.instrument, t.units, t.price) for key, t in still.items()}
            self._compare("store_equals_broker", trades)

    def _check_book(self, process: Process, book: Book) -> None:
        """A process that has applied everything has the broker's account in memory."""
        applied = book.last_transaction_id
        if process.number not in self._believed:
            self._trace.note(f"{process.owner} runs from {applied}")
        self._believed[process.number] = applied
        if applied != self._ledger.last_id:
            return
        theirs = self._account.book.balance
        if book.balance != theirs:
            self._violated(
                "memory_equals_broker", f"balance {book.balance}, the broker has {theirs}"
            )
        trades = {key: (t.instrument, t.units, t.price) for key, t in book.trades.items()}
        self._compare("memory_equals_broker", trades)

    def _compare(self, rule: str, ours: Mapping[int, tuple[str, Decimal, int]]) -> None:
        still = self._account.book.open_trades.values()
        theirs = {trade.id: (trade.instrument, trade.units, trade.price) for trade in still}
        if ours != theirs:
            self._violated(rule, f"trades {ours}, the broker has {theirs}")
