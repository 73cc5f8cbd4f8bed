"""Rows as PostgreSQL's binary COPY format, many at a time.

Format: PostgreSQL documentation, COPY, "Binary Format"; numeric: src/backend/utils/adt/numeric.c,
`numeric_recv` (base-10000 digits; zeros at either end are legal and dropped by the server).
Rows of one instrument have one width, so a batch is one NumPy record array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sepd.domain.market import Candle, Granularity, Quote

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
_EPOCH_US = 946_684_800_000_000  # 2000-01-01, PostgreSQL's zero, in µs since 1970
_WHOLE_DIGITS = 3  # base-10000 digits before the point: prices below 10^12

TICK_COLUMNS = ("timestamp", "nanos", "pair", "bid", "ask", "tradeable", "ingest_id")
CANDLE_COLUMNS = (
    "timestamp", "pair", "granularity", "open", "high", "low", "close", "volume",
    "bid_open", "bid_high", "bid_low", "bid_close",
    "ask_open", "ask_high", "ask_low", "ask_close", "source", "ingest_id",
)  # fmt: skip

Ints = NDArray[np.int64]


def encode_ticks(pair: str, quotes: Sequence[Quote], ingest_id: int) -> bytes:
    """Rows of table ticks, all of `pair`, without header and trailer."""
    count = len(quotes)
    time_ns = np.fromiter((quote.time_ns for quote in quotes), np.int64, count)
    rows = _Rows(count)
    rows.add_int("timestamp", 8, time_ns // 1000 - _EPOCH_US)
    rows.add_int("nanos", 2, time_ns % 1000)
    rows.add_text("pair", pair)
    rows.add_int("bid", 8, np.fromiter((quote.bid for quote in quotes), np.int64, count))
    rows.add_int("ask", 8, np.fromiter((quote.ask for quote in quotes), np.int64, count))
    rows.add_int("tradeable", 1, np.fromiter((q.tradeable for q in quotes), np.int64, count))
    rows.add_int("ingest_id", 8, np.full(count, ingest_id))
    return rows.encode()


def encode_candles(
    candles: Sequence[Candle], *, precision: int, source: str, ingest_id: int
) -> bytes:
    """Rows of table market_data; the candles are of one pair and granularity, one at least."""
    table = np.array(
        [
            (
                c.time_ns, c.volume, c.bid_open, c.bid_high, c.bid_low, c.bid_close,
                c.ask_open, c.ask_high, c.ask_low, c.ask_close,
            )
            for c in candles
        ],
        np.int64,
    ).reshape(len(candles), 10)  # fmt: skip
    return encode_candle_table(
        candles[0].instrument,
        candles[0].granularity,
        table,
        precision=precision,
        source=source,
        ingest_id=ingest_id,
    )


def encode_candle_table(
    pair: str,
    granularity: Granularity,
    table: Ints,
    *,
    precision: int,
    source: str,
    ingest_id: int,
) -> bytes:
    """Rows of table market_data from integers.

    Args:
        table: (rows, 10) int64: time ns, volume, bid OHLC and ask OHLC in points.
    """
    rows = _Rows(len(table))
    rows.add_int("timestamp", 8, table[:, 0] // 1000 - _EPOCH_US)
    rows.add_text("pair", pair)
    rows.add_text("granularity", granularity.value)
    for column, name in enumerate(("open", "high", "low", "close")):
        rows.add_decimal(name, (table[:, 2 + column] + table[:, 6 + column]) * 5, precision + 1)
    rows.add_int("volume", 8, table[:, 1])
    for column, name in enumerate(CANDLE_COLUMNS[8:16]):
        rows.add_int(name, 8, table[:, 2 + column])
    rows.add_text("source", source)
    rows.add_int("ingest_id", 8, np.full(len(table), ingest_id))
    return rows.encode()


class _Rows:
    """Columns of one COPY block: each field is a length and big-endian bytes."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._fields: list[tuple[str, Any]] = [("fields", ">i2")]
        self._values: dict[str, Any] = {}

    def add_int(self, name: str, size: int, values: Ints) -> None:
        self._add(name, size, f">i{size}", values)

    def add_text(self, name: str, text: str) -> None:
        data = text.encode()
        if data:
            self._add(name, len(data), f"S{len(data)}", data)
        else:
            self._add_length(name, 0)

    def add_decimal(self, name: str, values: Ints, scale: int) -> None:
        """`values` × 10^−scale as numeric: digits of base 10000 on both sides of the point."""
        fraction_digits = -(-scale // 4)
        digits = _WHOLE_DIGITS + fraction_digits
        rest = np.abs(values) * 10 ** (4 * fraction_digits - scale)
        block = np.empty((self._count, 4 + digits), ">i2")
        block[:, 0] = digits
        block[:, 1] = _WHOLE_DIGITS - 1
        block[:, 2] = np.where(values < 0, 0x4000, 0)
        block[:, 3] = scale
        for place in range(digits - 1, -1, -1):
            rest, block[:, 4 + place] = np.divmod(rest, 10_000)
        self._add(name, 8 + 2 * digits, (">i2", (4 + digits,)), block)

    def encode(self) -> bytes:
        rows = np.empty(self._count, np.dtype(self._fields))
        rows["fields"] = sum(name.startswith("length ") for name, *_ in self._fields)
        for name, values in self._values.items():
            rows[name] = values
        return rows.tobytes()

    def _add(self, name: str, size: int, kind: Any, values: Any) -> None:
        self._add_length(name, size)
        self._fields.append((name, *kind) if isinstance(kind, tuple) else (name, kind))
        self._values[name] = values

    def _add_length(self, name: str, size: int) -> None:
        self._fields.append((f"length {name}", ">i4"))
        self._values[f"length {name}"] = size
