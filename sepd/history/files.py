"""Files into datasets and datasets into files."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from msgspec import Struct

from sepd.domain.market import Granularity
from sepd.domain.time import format_time
from sepd.errors import ConfigError, InputError
from sepd.history.dataset import Dataset
from sepd.history.download import to_rows
from sepd.history.parquet import columns_of, parquet_lines, write_parquet
from sepd.history.segment import Rows
from sepd.market.candles import CandleBuilder
from sepd.market.instruments import instrument_in, instrument_named
from sepd.market.provenance import Origin, Part
from sepd.market.tape import Tape, open_tape, read_tape

_HASH_BLOCK = 1 << 20


class Imported(Struct, frozen=True):
    """What became of one file.

    `added` rows are new; `known` were there already and are the same; `differing` were there
    with other prices and were left as they were. `rejected` counts by reason.
    """

    file: str
    dataset: str
    rows: int
    added: int
    known: int
    differing: int
    rejected: dict[str, int]


def read_any(path: Path, instrument: str | None, spread_points: int) -> Tape:
    """A tape from a text file or an archive, or from Parquet by its magic bytes.

    Raises:
        InputError: as `open_tape`; also a damaged Parquet file.
        ConfigError: Parquet without pyarrow.
    """
    try:
        with path.open("rb") as stream:
            is_parquet = stream.read(4) == b"PAR1"
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
    if not is_parquet:
        return open_tape(path, instrument, spread_points)
    found = instrument_named(instrument) if instrument else instrument_in(path.name)
    if found is None:
        raise InputError(f"{path}: name the instrument: call the file EUR_USD.parquet.")
    return read_tape(path, path.name, parquet_lines(path), found, spread_points)


def import_tape(root: Path, tape: Tape, taken_ns: int, note: str = "") -> Imported:
    """Put a tape's rows into its dataset under `root`. The same tape again changes nothing.

    Args:
        root: folder of all datasets.
        tape: checked rows.
        taken_ns: UTC of the import.
        note: what else must be known, the stated spread for instance.
    """
    dataset = Dataset(root, tape.instrument, tape.granularity)
    rows = np.column_stack([np.frombuffer(column, np.int64) for column in tape.columns])
    return _import(dataset, tape, rows, tape.end_ns, taken_ns, note)


def import_candles_of(
    root: Path, tape: Tape, length: Granularity, taken_ns: int, note: str = ""
) -> Imported:
    """Build candles from a tape of ticks and put them into their dataset.

    The candle in which the tape begins is built too: a file of ticks holds all of its time.
    """
    dataset = Dataset(root, tape.instrument, length)
    builder = CandleBuilder(tape.instrument, length, [], length.floor(tape.start_ns))
    candles = [candle for quote in tape.quotes() for candle in builder.add(quote)]
    end_ns = length.floor(tape.end_ns) + length.ns
    candles += builder.advance(end_ns)
    built = f"{note}; {length} candles built from ticks" if note else f"{length} built from ticks"
    return _import(dataset, tape, to_rows(candles), end_ns, taken_ns, built)


def _import(
    dataset: Dataset, tape: Tape, rows: Rows, end_ns: int, taken_ns: int, note: str
) -> Imported:
    start_ns = int(rows[0, 0])
    end_ns = max(end_ns, int(rows[-1, 0]) + 1)
    request = f"{tape.path.name} sha256={file_sha256(tape.path)} {note}".rstrip()
    origin = Origin("import", "", request)
    missing = dataset.missing(start_ns, end_ns)
    known, differing = _compare(dataset, rows, start_ns, end_ns)
    added = 0
    for from_ns, to_ns in missing:
        first, last = np.searchsorted(rows[:, 0], [from_ns, to_ns])
        added += dataset.put(rows[first:last], Part(from_ns, to_ns, taken_ns, origin))
    dataset.seal()
    by_reason = {reason.value: count for reason, count in tape.rejected.by_reason.items()}
    return Imported(
        tape.path.name, dataset.folder.name, len(rows), added, known, differing, by_reason
    )


def _compare(dataset: Dataset, rows: Rows, from_ns: int, to_ns: int) -> tuple[int, int]:
    """How many rows are there already, and how many of them with other prices."""
    known = differing = 0
    for there in dataset.rows(from_ns, to_ns):
        first, last = np.searchsorted(rows[:, 0], [there[0, 0], there[-1, 0] + 1])
        ours = Counter(map(tuple, there[:, :9].tolist()))
        theirs = Counter(map(tuple, rows[first:last, :9].tolist()))
        times = {row[0] for row in ours}
        known += (ours & theirs).total()
        differing += sum(1 for row in (theirs - ours).elements() if row[0] in times)
    return known, differing


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def export(dataset: Dataset, path: Path, from_ns: int, to_ns: int) -> int:
    """Write rows of [from_ns, to_ns) to `path`: Parquet if it is named so, else CSV.

    The file appears whole or not at all; sepd reads it back to the same rows.

    Raises:
        ConfigError: it cannot be written, or Parquet without pyarrow.
    """
    write = write_parquet if path.suffix == ".parquet" else _write_csv
    with _whole(path) as temporary:
        return write(dataset, temporary, from_ns, to_ns)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    temporary = path.with_name(path.name + ".writing")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}.") from None
    finally:
        temporary.unlink(missing_ok=True)


def _write_csv(dataset: Dataset, path: Path, from_ns: int, to_ns: int) -> int:
    text = price_text(dataset.instrument.display_precision)
    written = 0
    with path.open("w", newline="") as stream:
        out = csv.writer(stream, lineterminator="\n")
        out.writerow(columns_of(dataset))
        for rows in dataset.rows(from_ns, to_ns):
            for time_ns, *values in rows.tolist():
                prices = [text(value) for value in values[:8]]
                out.writerow([format_time(time_ns), *prices, *values[8:]])
            written += len(rows)
    return written


def price_text(precision: int) -> Callable[[int], str]:
    """Writes points as a decimal price with all its decimals."""
    if not precision:
        return str
    scale = 10**precision
    return lambda points: f"{points // scale}.{points % scale:0{precision}d}"
