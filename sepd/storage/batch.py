"""One batch of market data, signals and journal as one transaction of COPYs.

A batch counts itself in its `ingests` row, so that one whose commit was not answered is
recognised when it comes again: nothing is lost, nothing doubled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import asyncpg
from msgspec import Struct

from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.domain.signal import Signal
from sepd.errors import InvariantViolated
from sepd.ports import JournalRecord
from sepd.storage import encode
from sepd.storage.queries import QUERIES
from sepd.storage.rows import EPOCH, signal_row, to_datetime

_DAY_NS = 86_400_000_000_000
_STEP = {"ticks": "month", "journal": "month", "market_data": "year"}
_JOURNAL_COLUMNS = (
    "id", "timestamp", "time_ns", "kind", "first_sequence", "count", "body", "ingest_id",
)  # fmt: skip


class QuoteRows(Struct, frozen=True):
    """Quotes in the order in which they came."""

    quotes: Sequence[Quote]


class CandleRows(Struct, frozen=True):
    """Candles of one source."""

    candles: Sequence[Candle]
    source: str


class SignalRow(Struct, frozen=True):
    """A signal and the reason code it met."""

    signal: Signal
    verdict: str


Item = QuoteRows | CandleRows | SignalRow | JournalRecord


class Batch(Struct, frozen=True):
    """What one transaction writes; `number` counts the batches of an ingest from 1."""

    number: int
    items: tuple[Item, ...]
    rows: int

    @property
    def quotes(self) -> list[Quote]:
        """All quotes, in order."""
        return [q for item in self.items if isinstance(item, QuoteRows) for q in item.quotes]

    @property
    def candles(self) -> list[CandleRows]:
        """All candles, by source."""
        return [item for item in self.items if isinstance(item, CandleRows)]

    @property
    def signals(self) -> list[SignalRow]:
        """All signals."""
        return [item for item in self.items if isinstance(item, SignalRow)]

    @property
    def journal(self) -> list[JournalRecord]:
        """All journal records."""
        return [item for item in self.items if isinstance(item, JournalRecord)]


class BatchTables:
    """The tables that batches go to, as one ingest.

    Args:
        instruments: by name; asked for precisions when rows are written.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._ingest_id = 0
        self._known: dict[str, Instrument] = {}
        self._partitions: set[tuple[str, str]] = set()

    async def start(self, connection: asyncpg.Connection) -> None:
        """Take an ingest id."""
        self._ingest_id = await connection.fetchval(QUERIES["start_ingest"])

    async def write(self, connection: asyncpg.Connection, batch: Batch) -> None:
        """Commit `batch`, unless that has happened already."""
        last = await connection.fetchval(QUERIES["last_batch"], self._ingest_id)
        if last >= batch.number:
            return
        await self._prepare(connection, batch)
        try:
            await self._write(connection, batch, merge=False)
        except asyncpg.UniqueViolationError:  # some of the candles are there already
            await self._write(connection, batch, merge=True)

    async def _prepare(self, connection: asyncpg.Connection, batch: Batch) -> None:
        """Partitions and precisions, ahead of the transaction that needs them."""
        candles = [candle for item in batch.candles for candle in item.candles]
        quotes = batch.quotes
        days = {
            "ticks": {quote.time_ns // _DAY_NS for quote in quotes},
            "market_data": {candle.time_ns // _DAY_NS for candle in candles},
            "journal": {record.time_ns // _DAY_NS for record in batch.journal},
        }
        for table, numbers in days.items():
            for day in sorted(numbers):
                await self._ensure_partition(connection, table, day)
        for name in {quote.instrument for quote in quotes} | {c.instrument for c in candles}:
            await self._ensure_instrument(connection, name)

    async def _ensure_partition(self, connection: asyncpg.Connection, table: str, day: int) -> None:
        first = EPOCH + timedelta(days=day)
        step = _STEP[table]
        key = (table, f"{first:%Y}" if step == "year" else f"{first:%Y-%m}")
        if key not in self._partitions:
            await connection.execute(QUERIES["ensure_partitions"], table, step, first, first)
            self._partitions.add(key)

    async def _ensure_instrument(self, connection: asyncpg.Connection, name: str) -> None:
        instrument = self._instruments.get(name)
        if instrument is None:
            raise InvariantViolated(f"Prices of {name} came, but nothing says its precision.")
        if self._known.get(name) != instrument:
            await connection.execute(
                QUERIES["record_instrument"],
                name,
                instrument.display_precision,
                instrument.pip_location,
            )
            self._known[name] = instrument

    async def _write(self, connection: asyncpg.Connection, batch: Batch, *, merge: bool) -> None:
        async with connection.transaction():
            await self._write_quotes(connection, batch.quotes)
            await self._write_candles(connection, batch.candles, merge=merge)
            await self._write_journal(connection, batch)
            if batch.signals:
                rows = [signal_row(row.signal, row.verdict) for row in batch.signals]
                await connection.executemany(QUERIES["record_signal"], rows)
            await connection.execute(QUERIES["finish_batch"], self._ingest_id, batch.number)

    async def _write_quotes(self, connection: asyncpg.Connection, quotes: Sequence[Quote]) -> None:
        by_pair: dict[str, list[Quote]] = {}
        for quote in quotes:
            by_pair.setdefault(quote.instrument, []).append(quote)
        blocks = [
            encode.encode_ticks(pair, rows, self._ingest_id) for pair, rows in by_pair.items()
        ]
        await _copy(connection, "ticks", encode.TICK_COLUMNS, blocks)

    async def _write_candles(
        self, connection: asyncpg.Connection, items: Sequence[CandleRows], *, merge: bool
    ) -> None:
        groups: dict[tuple[str, Granularity, str], list[Candle]] = {}
        for item in items:
            for candle in item.candles:
                key = (candle.instrument, candle.granularity, item.source)
                groups.setdefault(key, []).append(candle)
        blocks = [
            encode.encode_candles(
                candles,
                precision=self._known[pair].display_precision,
                source=source,
                ingest_id=self._ingest_id,
            )
            for (pair, _, source), candles in groups.items()
        ]
        if merge and blocks:
            await connection.execute(QUERIES["stage_candles"])
            await _copy(connection, "staged_candles", encode.CANDLE_COLUMNS, blocks)
            await connection.execute(QUERIES["merge_candles"])
        else:
            await _copy(connection, "market_data", encode.CANDLE_COLUMNS, blocks)

    async def _write_journal(self, connection: asyncpg.Connection, batch: Batch) -> None:
        rows = [
            (
                (batch.number << 20) + place,
                to_datetime(record.time_ns),
                record.time_ns,
                record.kind,
                record.first_sequence,
                record.count,
                record.body,
                self._ingest_id,
            )
            for place, record in enumerate(batch.journal)
        ]
        if rows:
            await connection.copy_records_to_table(
                "journal", records=rows, columns=_JOURNAL_COLUMNS
            )


async def _copy(
    connection: asyncpg.Connection, table: str, columns: Sequence[str], blocks: Sequence[bytes]
) -> None:
    if blocks:
        await connection.copy_to_table(
            table,
            source=bytearray(b"").join((encode.HEADER, *blocks, encode.TRAILER)),
            columns=list(columns),
            format="binary",
        )
