"""Broker transactions applied to the tables of an account, one database transaction each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import asyncpg
import msgspec

from sepd.domain.account import AccountEvent, AccountSnapshot, OrderFilled
from sepd.domain.market import Instrument
from sepd.errors import InvariantViolated
from sepd.ports import Clock
from sepd.storage import books, lines, rows
from sepd.storage.audit import transaction_body
from sepd.storage.fencing import Fenced, hold_epoch
from sepd.storage.link import Link
from sepd.storage.queries import QUERIES


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

    async def apply(self, account_id: str, event: AccountEvent) -> bool:
        """Apply one broker transaction to orders, fills, positions and results, all or nothing.

        False if this transaction id had been applied before.
        """
        body = transaction_body(event)
        async with self._link.use() as connection, connection.transaction():
            begun = await connection.fetchrow(
                QUERIES["begin_apply"],
                account_id,
                event.transaction_id,
                type(event).__name__,
                event.time_ns,
                body.decode(),
                self.epoch,
            )
            if begun["epoch"] != self.epoch:
                raise Fenced(self.epoch)
            if not begun["saved"]:
                return False
            account = rows.account_line(begun)
            touched = await self._touched(connection, account_id, event, account)
            after = books.apply(event, touched, self._trading_day)
            await self._save_lines(connection, account_id, event, after)
            await connection.execute(  # last, for it holds the chain's head until the commit
                QUERIES["record_audit"], event.time_ns, account_id, "transaction", body
            )
        return True

    async def _touched(
        self,
        connection: asyncpg.Connection,
        account_id: str,
        event: AccountEvent,
        account: lines.Account,
    ) -> lines.Lines:
        trades: dict[int, lines.Trade] = {}
        if keys := books.trade_keys(event):
            found = await connection.fetch(QUERIES["trades_touched"], account_id, keys)
            trades = {row["trade_id"]: rows.trade_line(row) for row in found}
        client_order_id, order_id = books.order_keys(event)
        intents = {client_order_id, *(trade.intent_id for trade in trades.values())} - {""}
        orders: dict[str, lines.Order] = {}
        if intents or order_id is not None:
            found = await connection.fetch(
                QUERIES["orders_touched"], account_id, sorted(intents), order_id
            )
            orders = {row["intent_id"]: rows.order_line(row) for row in found}
        return lines.Lines(account, orders, trades)

    async def _save_lines(
        self,
        connection: asyncpg.Connection,
        account_id: str,
        event: AccountEvent,
        after: lines.Lines,
    ) -> None:
        account = after.account
        if account.newest_transaction_id > account.last_transaction_id:
            found = await connection.fetch(
                QUERIES["transactions_after"], account_id, account.last_transaction_id
            )
            last = books.contiguous(account.last_transaction_id, [row[0] for row in found])
            account = msgspec.structs.replace(account, last_transaction_id=last)
        await connection.execute(QUERIES["save_account"], *rows.account_row(account_id, account))
        for order in after.orders.values():
            await connection.execute(
                QUERIES["save_order"],
                order.intent_id,
                order.state.value,
                order.order_id,
                order.filled,
                order.reason,
                event.time_ns,
                self.epoch,
            )
        if isinstance(event, OrderFilled):
            await connection.execute(QUERIES["save_fill"], *rows.fill_row(account_id, event))
        for trade in after.trades.values():
            await self._save_trade(connection, account_id, trade)

    async def _save_trade(
        self, connection: asyncpg.Connection, account_id: str, trade: lines.Trade
    ) -> None:
        instrument = self._instruments.get(trade.instrument)
        if instrument is None:
            raise InvariantViolated(f"Nothing says the precision of {trade.instrument}.")
        if trade.closed_ns is None:
            position = rows.position_row(account_id, trade)
            await connection.execute(QUERIES["save_position"], *position)
        else:
            await connection.execute(QUERIES["drop_position"], account_id, trade.trade_id)
        result = rows.result_row(account_id, trade, instrument)
        await connection.execute(QUERIES["save_result"], *result)

    async def open_books(self, account_id: str, snapshot: AccountSnapshot) -> bool:
        """Open the books of an account at `snapshot`; False if they were open already."""
        async with self._link.use() as connection, connection.transaction():
            await hold_epoch(connection, account_id, self.epoch)
            known = rows.account_line(await connection.fetchrow(QUERIES["account"], account_id))
            if known.balance is not None or known.newest_transaction_id:
                return False
            day = self._trading_day(self._clock.now_ns())
            ours = [trade.client_trade_id for trade in snapshot.trades if trade.client_trade_id]
            found = await connection.fetch(QUERIES["orders_touched"], account_id, ours, None)
            signals = {row["intent_id"]: row["signal_id"] for row in found}
            account, trades = books.baseline(snapshot, day, signals)
            row = rows.account_row(account_id, account)
            await connection.execute(QUERIES["save_account"], *row)
            for trade in trades:
                await self._save_trade(connection, account_id, trade)
        return True
