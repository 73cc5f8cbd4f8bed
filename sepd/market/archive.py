"""Text inside plain, gzipped and zipped files."""

from __future__ import annotations

import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sepd.errors import InputError

DAMAGE = (
    EOFError,
    ValueError,
    NotImplementedError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
)
"""What a broken or foreign archive raises while it is read; ValueError for a bad offset."""


@contextmanager
def text_in(path: Path, raw: IO[bytes]) -> Iterator[tuple[str, IO[str]]]:
    """The name and the text of an opened file, or of the only CSV file of a zip.

    Bytes that are not UTF-8 become a character that no row may have.

    Raises:
        InputError: a zip with no CSV file, several, or an encrypted one.
        OSError, DAMAGE: it cannot be read.
    """
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        with gzip.open(raw, "rb") as stream, _text(stream) as text:
            yield path.name, text
    elif magic == b"PK\x03\x04":
        with (
            zipfile.ZipFile(raw) as archive,
            archive.open(_only_csv(path, archive)) as member,
            _text(member) as text,
        ):
            yield Path(member.name).name, text
    else:
        with _text(raw) as text:
            yield path.name, text


def _only_csv(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [one for one in archive.infolist() if one.filename.lower().endswith(".csv")]
    if len(members) != 1:
        raise InputError(f"{path}: holds {len(members)} CSV files; give a zip with one.")
    if members[0].flag_bits & 1:
        raise InputError(f"{path}: is encrypted; unpack it first.")
    return members[0]


def _text(stream: IO[bytes] | gzip.GzipFile) -> IO[str]:
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace")
