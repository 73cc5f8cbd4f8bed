"""Parquet files with the columns of our CSV layouts; prices are exact decimals.

pyarrow is an extra, and slow to import: it is loaded when a Parquet file is read or written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sepd.domain.time import format_time
from sepd.errors import ConfigError, InputError
from sepd.history.dataset import Dataset
from sepd.history.segment import Rows
from sepd.market.layouts import BAR_HEADER, TICK_HEADER

_BATCH_ROWS = 65_536
_DECIMAL_DIGITS = 18


def columns_of(dataset: Dataset) -> list[str]:
    """Column names of a dataset's rows."""
    return (f"{BAR_HEADER},volume" if dataset.granularity else TICK_HEADER).split(",")


def write_parquet(dataset: Dataset, path: Path, from_ns: int, to_ns: int) -> int:
    """Write rows of [from_ns, to_ns); returns how many.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    price = arrow.decimal128(_DECIMAL_DIGITS, dataset.instrument.display_precision)
    kinds = {"time": arrow.timestamp("ns", "UTC"), "volume": arrow.int64()}
    schema = arrow.schema([(name, kinds.get(name, price)) for name in columns_of(dataset)])
    written = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for rows in dataset.rows(from_ns, to_ns):
            table = [
                _decimals(arrow, price, values)
                if field.type == price
                else arrow.array(values).cast(field.type)
                for field, values in zip(schema, np.ascontiguousarray(rows.T), strict=True)
            ]
            writer.write_table(arrow.table(table, schema=schema))
            written += len(rows)
    return written


def parquet_lines(path: Path, content: BinaryIO | None = None) -> Iterator[str]:
    """The rows of a Parquet file as the lines of a CSV file, header first.

    Args:
        path: the file.
        content: read instead of the file; `path` then only names it.

    Raises:
        InputError: damaged, or without the columns of a layout.
        ConfigError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(content or path) as file:
            names = _layout_names(path, file.schema_arrow.names)
            yield ",".join(names)
            for batch in file.iter_batches(_BATCH_ROWS, columns=names):
                texts = [_texts(arrow, path, name, batch.column(name)) for name in names]
                yield from map(",".join, zip(*texts, strict=True))
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is a damaged Parquet file ({error}).") from None


def _layout_names(path: Path, present: Sequence[str]) -> list[str]:
    for header in (f"{BAR_HEADER},volume", BAR_HEADER, TICK_HEADER):
        names = header.split(",")
        if set(names) <= set(present):
            return names
    raise InputError(f"{path}: has not the columns {TICK_HEADER}; see docs/data.md.")


def _decimals(arrow: Any, kind: Any, points: Rows) -> Any:
    """Points as decimals of the same digits: 128-bit two's complement, little-endian."""
    words = np.stack([points, points >> 63], axis=1).astype("<i8")
    return arrow.Array.from_buffers(kind, len(points), [None, arrow.py_buffer(words.tobytes())])


def _texts(arrow: Any, path: Path, name: str, column: Any) -> list[str]:
    """A column as text; doubles by their shortest exact form, nulls as nan."""
    kind = column.type
    if arrow.types.is_timestamp(kind):
        instants = column.cast(arrow.timestamp("ns", kind.tz)).cast(arrow.int64()).to_pylist()
        return ["" if one is None else format_time(one) for one in instants]
    exact = arrow.types.is_decimal(kind) or arrow.types.is_float64(kind)
    if not (exact or arrow.types.is_string(kind) or (name == "volume")):
        raise InputError(f"{path}: column {name} is {kind}; prices must be decimals or text.")
    return ["nan" if one is None else str(one) for one in column.to_pylist()]


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError("Parquet needs pyarrow: pip install 'sepd[parquet]'.") from None
