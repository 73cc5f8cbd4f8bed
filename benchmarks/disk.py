"""What a disk does when it is left alone: durable writes of 8 KB, rarely, often, and kept awake.

`python -m benchmarks.disk [--folder DIR] [--cpu N]` prints one JSON object: microseconds that
`pwrite` and `fdatasync` into a file of fixed size take, 100 and 2,000 times a second, and 100 times
a second while `sepd.awake.disk_ready` has a page read every 2 ms in between. The kinds take turns.
All cores are held ready, and we poll on one, so that it is the disk that is measured.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from sepd.awake import DISK_S, cores_ready, disk_ready, keep_to

BLOCK = 8_192
BLOCKS = 1_024
TURNS = 10
WRITES = 40


class Kind(Struct, frozen=True):
    """So many writes a second, with reads in between or without."""

    per_s: int
    awake: bool = False

    @property
    def name(self) -> str:
        """As in the report."""
        return f"{self.per_s}/s" + (", kept awake" if self.awake else "")


KINDS = (Kind(100), Kind(100, awake=True), Kind(2_000))


class File:
    """A file whose every block is on the disk."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - ours until the end
        self._number = self._file.fileno()
        os.pwrite(self._number, bytes(BLOCK * BLOCKS), 0)
        os.fsync(self._number)
        self._block = mmap.mmap(-1, BLOCK)
        self._next = 0

    def write(self) -> int:
        """Write the next block durably; nanoseconds that took."""
        began = time.perf_counter_ns()
        os.pwrite(self._number, self._block, self._next * BLOCK)
        os.fdatasync(self._number)
        self._next = (self._next + 1) % BLOCKS
        return time.perf_counter_ns() - began


def turn(kind: Kind, file: File, read: Callable[[], None]) -> list[int]:
    """Durations of some writes of one kind, ns."""
    taken = []
    for _ in range(WRITES):
        now = reading = time.perf_counter()
        due = now + 1 / kind.per_s
        while (now := time.perf_counter()) < due:
            if kind.awake and now >= reading:
                read()
                reading = now + DISK_S
        taken.append(file.write())
    return taken


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--cpu", type=int, default=0)
    given = parser.parse_args()
    file = File(given.folder)
    found: dict[str, list[int]] = {kind.name: [] for kind in KINDS}
    with keep_to(given.cpu), cores_ready(), disk_ready(given.folder) as read:
        for _ in range(TURNS):
            for kind in KINDS:
                found[kind.name] += turn(kind, file, read)
    report = {}
    for name, taken in found.items():
        cuts = statistics.quantiles(taken, n=100)
        report[name] = {"p50": round(cuts[49] / 1_000), "p99": round(cuts[98] / 1_000)}
    print(json.dumps({"writes": TURNS * WRITES, "us": report}))


if __name__ == "__main__":
    main()
