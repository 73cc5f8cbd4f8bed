"""What happened in a simulation: a log, and a hash over it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from msgspec import Struct


class Entry(Struct, frozen=True):
    """One thing that happened, at a loop time in seconds."""

    at_s: float
    what: str

    def __str__(self) -> str:
        return f"{self.at_s:10.4f}  {self.what}"


class Trace:
    """Entries in order. Two runs of one seed have the same `digest`.

    Args:
        time: the loop's.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self.entries: list[Entry] = []
        self._time = time
        self._hash = hashlib.sha256()

    @property
    def now_s(self) -> float:
        """The instant of an entry made now."""
        return self._time()

    def note(self, what: str) -> None:
        """Keep an entry."""
        entry = Entry(self._time(), what)
        self.entries.append(entry)
        self._hash.update(str(entry).encode())

    def count(self, what: str, number: int) -> None:
        """Put a number into the hash that is not worth an entry."""
        self._hash.update(f"{self._time():.6f}{what}{number}".encode())

    @property
    def digest(self) -> str:
        """Hash over everything so far, in hex."""
        return self._hash.hexdigest()
