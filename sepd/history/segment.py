"""A segment: the rows of one window of time, in one file that appears whole or not at all.

Layout: a header of JSON and a line feed; the rows, little-endian int64; the kept digest of each
row. A bar has ten columns (time_ns, bid open/high/low/close, ask open/high/low/close, volume),
a tick three (time_ns, bid, ask). Prices are points.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from sepd.domain.market import Instrument
from sepd.errors import ConfigError, InputError
from sepd.market.provenance import KEPT_BYTES, Part, kept, row_digests, segment_head

FORMAT = 1
BAR_COLUMNS = 10
TICK_COLUMNS = 3
_HEADER_LIMIT = 1 << 22
Rows = NDArray[np.int64]


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """First line of a segment file."""

    format: int
    instrument: str
    display_precision: int
    granularity: str
    start_ns: int
    columns: int
    rows: int
    head: str
    parts: tuple[Part, ...]


class Segment(Struct, frozen=True):
    """A segment in memory; `rows` has the shape (rows, columns)."""

    header: Header
    rows: Rows
    kept_digests: bytes


def sealed(
    instrument: Instrument, granularity: str, start_ns: int, rows: Rows, parts: tuple[Part, ...]
) -> Segment:
    """A segment of checked, ordered rows with its hashes."""
    count, columns = rows.shape
    digests = row_digests(rows.astype("<i8").tobytes(), 8 * columns)
    head = segment_head(digests).hex()
    name, precision = instrument.name, instrument.display_precision
    header = Header(FORMAT, name, precision, granularity, start_ns, columns, count, head, parts)
    return Segment(header, rows, kept(digests))


def write_segment(path: Path, segment: Segment) -> None:
    """Write to a temporary name, flush to the disk, rename.

    Raises:
        ConfigError: the disk is full or not writable.
    """
    temporary = path.with_suffix(".writing")
    try:
        with temporary.open("wb") as stream:
            stream.write(msgspec.json.encode(segment.header) + b"\n")
            stream.write(segment.rows.astype("<i8").tobytes())
            stream.write(segment.kept_digests)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written: {error.strerror}; free space or change data_dir."
        ) from None


def read_segment(path: Path) -> Segment:
    """Read a segment; hashes are not checked here.

    Raises:
        InputError: the file is not a whole segment.
    """
    try:
        with path.open("rb") as stream:
            return segment_in(path, stream)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None


def segment_in(path: Path, stream: BinaryIO) -> Segment:
    """A segment from an opened file; `path` names it.

    Raises:
        InputError: it is not a whole segment.
    """
    header = _read_header(path, stream)
    body = stream.read()
    size = 8 * header.columns * header.rows
    if len(body) != size + KEPT_BYTES * header.rows:
        raise InputError(f"{path}: is damaged; delete it and download or import again.")
    rows = np.frombuffer(body, "<i8", header.rows * header.columns).astype(np.int64)
    return Segment(header, rows.reshape(header.rows, header.columns), body[size:])


def read_header(path: Path) -> Header:
    """Only the header of a segment file.

    Raises:
        InputError: it has none.
    """
    try:
        with path.open("rb") as stream:
            return _read_header(path, stream)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None


def _read_header(path: Path, stream: BinaryIO) -> Header:
    try:
        header = msgspec.json.decode(stream.readline(_HEADER_LIMIT), type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InputError(f"{path}: is no segment; delete it and download again.") from None
    if header.format != FORMAT or header.columns not in {BAR_COLUMNS, TICK_COLUMNS}:
        raise InputError(f"{path}: has another format; use the sepd that wrote it.")
    if header.rows < 0:
        raise InputError(f"{path}: is damaged; delete it and download or import again.")
    return header


def _sync_folder(folder: Path) -> None:
    """A rename lasts once its folder is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
