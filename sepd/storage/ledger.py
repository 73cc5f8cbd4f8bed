"""Broker transactions applied to the tables of an account, one database transaction per batch.

The lines that a batch touches are read in one statement, changed here, and written in another one,
which does nothing if they are not as they were read: no lock is held while the server waits for us.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import asyncpg
import msgspec
from msgspec import Struct

from sepd.domain.account import AccountEvent, AccountSnapshot, OrderFilled
from sepd.domain.market import Instrument
from sepd.errors import InvariantViolated, TransientError
from sepd.ports import Clock
from sepd.storage import books, rows
from sepd.storage.audit import transaction_body
from sepd.storage.changes import Changes, Keys, apply_all, keys
from sepd.storage.fencing import Fenced
from sepd.storage.lines import Lines, Order, Trade
from sepd.storage.link import Link
from sepd.storage.queries import QUERIES

ATTEMPTS = 20


class Books(Struct, frozen=True):
    """Lines as they were read, and the versions of their rows."""

    held: Lines
    applied: list[int]
    version: str | None
    orders: str


class Ledger:
    """Keeps account_state, orders, fills, positions and trading_results over one connection, under
    the fencing `epoch` of our leadership.

    Args:
        instruments: by name, for the decimals of published prices.
        trading_day: name of the trading day that holds an instant in ns.
        clock: dates the opening of books.
    """

    def __init__(
        self,
        link: Link,
        instruments: Mapping[str, Instrument],
        trading_day: Callable[[int], str],
        clock: Clock,
    ) -> None:
        self._link = link
        self._instruments = instruments
        self._trading_day = trading_day
        self._clock = clock
        self.epoch = 0

    async def apply(self, account_id: str, events: Sequence[AccountEvent]) -> tuple[int, ...]:
        """Apply broker transactions to orders, fills, positions and results, in this order, all
        of them or nothing; the ids of those that had not been applied before.
        """

        def decide(found: Books) -> Changes | None:
            changes = apply_all(events, found.held, found.applied, self._trading_day)
            return changes if changes.events else None

        changes = await self._change(account_id, keys(events), decide)
        return changes.ids if changes else ()

    async def open_books(self, account_id: str, snapshot: AccountSnapshot) -> bool:
        """Open the books of an account at `snapshot`; False if they were open already."""
        day = self._trading_day(self._clock.now_ns())
        ours = tuple(trade.client_trade_id for trade in snapshot.trades)

        def decide(found: Books) -> Changes | None:
            known = found.held.account
            if known.balance is not None or known.newest_transaction_id:
                return None
            signals = {name: order.signal_id for name, order in found.held.orders.items()}
            account, trades = books.baseline(snapshot, day, signals)
            return Changes(account, trades={trade.trade_id: trade for trade in trades})

        return await self._change(account_id, Keys(intents=ours), decide) is not None

    async def _change(
        self, account_id: str, wanted: Keys, decide: Callable[[Books], Changes | None]
    ) -> Changes | None:
        """Write what `decide` makes of the books; anew if they were changed meanwhile."""
        async with self._link as connection:
            for _ in range(ATTEMPTS):
                found = await self._read(connection, account_id, wanted)
                changes = decide(found)
                if changes is None or await self._save(connection, account_id, found, changes):
                    return changes
        raise TransientError(
            f"The books of account {account_id} were changed {ATTEMPTS} times while transactions "
            "were applied. Nothing was written; it will be tried again."
        )

    async def _read(self, connection: asyncpg.Connection, account_id: str, wanted: Keys) -> Books:
        row = await connection.fetchrow(
            QUERIES["read_books"], account_id, wanted.trades, wanted.intents, wanted.orders
        )
        if row["epoch"] != self.epoch:
            raise Fenced(self.epoch)
        orders = msgspec.json.decode(row["orders"], type=list[Order])
        trades = msgspec.json.decode(row["trades"], type=list[Trade])
        held = Lines(
            rows.account_line(row),
            {order.intent_id: order for order in orders},
            {trade.trade_id: trade for trade in trades},
        )
        return Books(held, row["applied"], row["version"], row["orders"])

    async def _save(
        self, connection: asyncpg.Connection, account_id: str, found: Books, changes: Changes
    ) -> bool:
        """Write `changes`, all or nothing; False if a row is not as it was read."""
        events, trades = changes.events, changes.trades.values()
        row = await connection.fetchrow(
            QUERIES["save_books"],
            account_id,
            self.epoch,
            found.version,
            found.orders,
            _json(rows.account_row(changes.account)),
            changes.ids,
            [type(event).__name__ for event in events],
            [event.time_ns for event in events],
            [transaction_body(event) for event in events],
            _json([rows.order_row(o, changes.moved_ns[n]) for n, o in changes.orders.items()]),
            _json([rows.fill_row(event) for event in events if isinstance(event, OrderFilled)]),
            _json([rows.position_row(trade) for trade in trades if trade.closed_ns is None]),
            [trade.trade_id for trade in trades if trade.closed_ns is not None],
            _json([rows.result_row(trade, self._instrument(trade)) for trade in trades]),
        )
        if row["epoch"] != self.epoch:
            raise Fenced(self.epoch)
        return bool(row["saved"])

    def _instrument(self, trade: Trade) -> Instrument:
        instrument = self._instruments.get(trade.instrument)
        if instrument is None:
            raise InvariantViolated(f"Nothing says the precision of {trade.instrument}.")
        return instrument


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
