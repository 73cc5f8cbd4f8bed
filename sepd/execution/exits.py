"""Exits that the database could not take: kept in a local file, so that a trade can be closed.

An entry that cannot be committed is not sent. An exit must not depend on the database: it is
written here and synced before it is sent, and brought into the database when that is back.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from sepd.domain.order import OrderIntent
from sepd.domain.signal import Signal
from sepd.errors import InvariantViolated
from sepd.execution.failpoints import failpoint
from sepd.ports import Store


class ExitRecord(Struct, frozen=True):
    """What `Store.commit_intent` takes."""

    intent: OrderIntent
    signal: Signal
    snapshot: str


class ExitFile:
    """JSON lines in `path`, each synced to the disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, record: ExitRecord) -> None:
        """Keep `record`.

        Raises:
            OSError: the disk did not take it.
        """
        fresh = not self._path.exists()
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(record) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            _sync_folder(self._path.parent)

    def read(self) -> list[ExitRecord]:
        """All records, oldest first; a line that was cut off while it was written is left out."""
        if not self._path.exists():
            return []
        lines = self._path.read_bytes().split(b"\n")[:-1]
        return [msgspec.json.decode(line, type=ExitRecord) for line in lines]

    def clear(self) -> None:
        """Forget all records."""
        if self._path.exists():
            self._path.unlink()
            _sync_folder(self._path.parent)


async def restore_exits(store: Store, exits: ExitFile) -> list[str]:
    """Commit what the file holds; safe to repeat after a crash at any place.

    Returns:
        The intents of all records.

    Raises:
        TransientError: the database is still away.
    """
    records = exits.read()
    for record in records:
        try:
            await store.commit_intent(record.intent, record.signal, record.snapshot.encode())
        except InvariantViolated:
            continue  # committed before a crash kept the file from being cleared
        failpoint("exits.committed")
    if records:
        exits.clear()
        failpoint("exits.cleared")
    return [record.intent.id for record in records]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
