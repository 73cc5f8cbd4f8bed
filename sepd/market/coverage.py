"""Which stretches of time were watched without a hole."""

from __future__ import annotations

FOREVER_NS = 1 << 62
"""Later than any instant; its negative is earlier than any."""


class Coverage:
    """The unwatched intervals [from, to) of time, which at first is all of it."""

    __slots__ = ("_missing",)

    def __init__(self) -> None:
        self._missing = [(-FOREVER_NS, FOREVER_NS)]

    def cover(self, from_ns: int, to_ns: int = FOREVER_NS) -> None:
        """[from_ns, to_ns) was watched, or has been repaired since."""
        kept = []
        for start, end in self._missing:
            if start < min(end, from_ns):
                kept.append((start, min(end, from_ns)))
            if max(start, to_ns) < end:
                kept.append((max(start, to_ns), end))
        self._missing = kept

    def lose(self, from_ns: int, to_ns: int) -> None:
        """[from_ns, to_ns) was missed."""
        if from_ns < to_ns:
            self.cover(from_ns, to_ns)
            self._missing.append((from_ns, to_ns))

    def holds(self, from_ns: int, to_ns: int) -> bool:
        """Whether all of [from_ns, to_ns) was watched."""
        return not [1 for start, end in self._missing if start < to_ns and from_ns < end]

    def forget(self, before_ns: int) -> None:
        """Drop what ends before an instant that nobody will ask about again."""
        self._missing = [piece for piece in self._missing if piece[1] > before_ns]
