"""The store in PostgreSQL.

What money depends on is committed (`synchronous_commit = on`) before a call returns, orders over
one connection and the broker's transactions over another, so that neither waits for the other;
market data, signals and journal go through the batching writer; reads go through a pool.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg

from sepd.domain.account import AccountEvent, AccountSnapshot
from sepd.domain.event import MarketEvent
from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.domain.order import OrderIntent, OrderState
from sepd.domain.signal import Signal
from sepd.errors import TransientError
from sepd.ports import Clock, JournalRecord, StoredState, StoredTotals
from sepd.storage import rows
from sepd.storage.batch import BatchTables, CandleRows, QuoteRows, SignalRow
from sepd.storage.blocks import Table, read_table
from sepd.storage.faults import check_url, database_errors
from sepd.storage.ledger import Ledger
from sepd.storage.link import BY_KEY, SESSION, Link, prepare
from sepd.storage.migrate import check_schema, load_migrations
from sepd.storage.orders import OrderTables
from sepd.storage.queries import QUERIES
from sepd.storage.recent import read_recent
from sepd.storage.writer import Writer


class PostgresStore:
    """Implements `sepd.ports.Store`.

    Args:
        url: `postgresql://…`; the schema must be this program's (see `sepd.storage.migrate`).
        instruments: by name; may be filled after construction, before prices are recorded.
        trading_day: name of the trading day that holds an instant in ns.
        clock: time of audit rows.
        pool: connections for reading.
        timeout_s: deadline of connecting and of every statement.
        queue_rows: bound of the writer's queue.
    """

    def __init__(
        self,
        url: str,
        *,
        instruments: Mapping[str, Instrument],
        trading_day: Callable[[int], str],
        clock: Clock,
        pool: int = 2,
        timeout_s: float = 5.0,
        queue_rows: int = 262_144,
    ) -> None:
        check_url(url)
        self._url = url
        self._pool_size = pool
        self._timeout_s = timeout_s
        self._sending = Link(url, timeout_s, BY_KEY)
        self._applying = Link(url, timeout_s, BY_KEY)
        self._orders = OrderTables(self._sending, clock)
        self._ledger = Ledger(self._applying, instruments, trading_day, clock)
        self._writer = Writer(Link(url, timeout_s), BatchTables(instruments), queue_rows)
        self._pool: asyncpg.Pool | None = None
        self._closing = AsyncExitStack()

    @property
    def fault(self) -> str:
        """Why queued rows are not being written; empty while they are."""
        return self._writer.fault

    @property
    def queued(self) -> int:
        """Rows that are not committed yet."""
        return self._writer.queued

    async def open(self) -> None:
        """Connect; refuse a schema that is older or newer than this program.

        Raises:
            ConfigError: wrong address, credentials, database or schema.
            TransientError: the database is away.
        """
        async with AsyncExitStack() as stack:
            async with self._sending as connection:
                await check_schema(connection, load_migrations())
            stack.callback(self._sending.drop)
            stack.callback(self._applying.drop)
            with database_errors(self._url):
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=self._pool_size,
                    timeout=self._timeout_s,
                    command_timeout=self._timeout_s,
                    server_settings=SESSION,
                    init=prepare,
                )
            stack.callback(self._pool.terminate)
            await self._writer.open()
            stack.push_async_callback(self._writer.close, self._timeout_s)
            await self._catch_up()
            self._closing = stack.pop_all()

    async def close(self) -> None:
        """Write what is queued, then disconnect; may be called twice."""
        await self._closing.aclose()

    def lead(self, epoch: int) -> None:
        """Carry the epoch of our leadership in every write that money depends on."""
        self._orders.epoch = self._ledger.epoch = epoch

    async def run(self) -> None:
        """Write what is queued, batch after batch, until cancelled."""
        await self._writer.run()

    async def flush(self) -> None:
        """Return when all that was queued is committed."""
        await self._writer.flush()

    async def record_events(self, events: Sequence[MarketEvent]) -> None:
        """Queue the quotes among `events`."""
        quotes = [event.payload for event in events if type(event.payload) is Quote]
        if quotes:
            await self._writer.put(QuoteRows(quotes), len(quotes))

    async def record_candles(self, candles: Sequence[Candle], source: str) -> None:
        """Queue candles. Of two of one start the first stays, but any other takes the place of
        one that was built from quotes (source `stream`).
        """
        if candles:
            await self._writer.put(CandleRows(candles, source), len(candles))

    async def record_journal(self, record: JournalRecord) -> None:
        """Queue a journal row."""
        await self._writer.put(record, 1)

    async def record_signal(self, signal: Signal, verdict: str) -> None:
        """Queue a signal with the reason code it met."""
        await self._writer.put(SignalRow(signal, verdict), 1)

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        """Commit intent, signal, risk snapshot and audit entry in one transaction.

        The row in `signals` comes with the batch; after a crash the next start writes it.

        Raises:
            InvariantViolated: an intent of this id exists already.
        """
        await self._orders.commit_intent(intent, signal, snapshot)
        self._writer.add(SignalRow(signal, "accepted"), 1)

    async def rehearse(self) -> None:
        """Keep the next `commit_intent` quick.

        Raises:
            TransientError: the database is away, or slow.
        """
        await self._orders.rehearse()

    async def record_order_state(
        self, intent_id: str, state: OrderState, order_id: int | None, reason: str
    ) -> None:
        """Commit a transition of one order. A settled order stays as it is (FILLED may close)."""
        await self._orders.record_order_state(intent_id, state, order_id, reason)

    async def record_kill(self, account_id: str, reason: str) -> None:
        """Latch the kill switch with `reason`; an empty reason releases it."""
        await self._orders.record_kill(account_id, reason)

    async def apply_account_events(
        self, account_id: str, events: Sequence[AccountEvent]
    ) -> tuple[int, ...]:
        """Apply broker transactions to orders, fills, positions and results, in this order, all
        of them or nothing; the ids of those that had not been applied before.
        """
        return await self._ledger.apply(account_id, events)

    async def record_baseline(self, account_id: str, snapshot: AccountSnapshot) -> bool:
        """Open the books of an account at `snapshot`; False if they were open already."""
        return await self._ledger.open_books(account_id, snapshot)

    async def load_state(self, account_id: str) -> StoredState:
        """What recovery starts from, all of one instant."""
        async with self._reading() as connection:
            row = await connection.fetchrow(QUERIES["account"], account_id)
            released = row["released_transaction_id"] if row else 0
            recent = await read_recent(connection, account_id, released)
            orders = await connection.fetch(QUERIES["unfinished_orders"], account_id)
            positions = await connection.fetch(QUERIES["open_positions"], account_id)
        account = rows.account_line(row)
        return StoredState(
            last_transaction_id=account.last_transaction_id,
            orders=tuple(map(rows.stored_order, orders)),
            positions=tuple(map(rows.stored_position, positions)),
            balance=account.balance,
            day=account.day,
            killed=account.killed,
            recent=recent,
        )

    async def totals(self, account_id: str) -> StoredTotals:
        """Counts and sums over what is committed."""
        async with self._reading() as connection:
            row = await connection.fetchrow(QUERIES["totals"], account_id)
            states = await connection.fetch(QUERIES["orders_by_state"], account_id)
        return StoredTotals(
            **dict(row), orders_by_state={line["state"]: line["count"] for line in states}
        )

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """Stored candles that start in [from_ns, to_ns), oldest first."""
        bounds = rows.to_datetime(from_ns), rows.to_datetime(to_ns)
        async with self._reading() as connection:
            found = await connection.fetch(
                QUERIES["candles"], instrument, granularity.value, *bounds
            )
        return [rows.candle(instrument, granularity, row) for row in found]

    async def candle_table(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Table:
        """Stored candles that start in [from_ns, to_ns), oldest first, as integers.

        Returns:
            (rows, 10) int64: time in ns, volume, bid OHLC, ask OHLC in points. A year of M1 comes
            in tens of milliseconds where the months are packed (`sepd db refresh`).
        """
        async with self._reading() as connection:
            return await read_table(connection, instrument, granularity, from_ns, to_ns)

    async def _catch_up(self) -> None:
        """Queue the signals of intents whose process did not live to write them."""
        async with self._sending as connection:
            found = await connection.fetch(QUERIES["signals_behind"])
        for row in found:
            self._writer.add(SignalRow(rows.stored_signal(row["signal"]), "accepted"), 1)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[asyncpg.Connection]:
        """A pooled connection in one read-only, repeatable-read transaction."""
        if self._pool is None:
            raise TransientError("The store is not open.")
        with database_errors(self._url):
            async with (
                self._pool.acquire(timeout=self._timeout_s) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield connection
