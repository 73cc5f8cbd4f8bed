"""How fast tapes are read, candles built, and the calendar asked.

    python benchmarks/prices.py [FILE]...

Prints one JSON object: for each file rows/s of `open_tape`, and quotes/s of `quotes` and of
`CandleBuilder.add` with M1, M5, M15 and H1. The default is the EUR/USD sample.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sepd.domain.market import Granularity
from sepd.market.calendar import load_calendar
from sepd.market.candles import CandleBuilder
from sepd.market.tape import Tape, open_tape, sample_path

LENGTHS = (Granularity.M5, Granularity.M15, Granularity.H1)


def timed[R](work: Callable[[], R]) -> tuple[R, float]:
    """The result and the seconds it took."""
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def build(tape: Tape) -> int:
    """Candles of four lengths from all quotes; returns how many."""
    builder = CandleBuilder(tape.instrument, Granularity.M1, LENGTHS)
    add = builder.add
    return sum(len(add(quote)) for quote in tape.quotes())


def measure(path: Path) -> dict[str, Any]:
    """All rates of one file."""
    tape, reading = timed(lambda: open_tape(path))
    count, playing = timed(lambda: sum(1 for _ in tape.quotes()))
    candles, building = timed(lambda: build(tape))
    calendar, name = load_calendar(), tape.instrument.name
    calendar.is_open(name, tape.start_ns)
    _, asking = timed(lambda: [calendar.is_open(name, tape.start_ns) for _ in range(100_000)])
    return {
        "file": path.name,
        "rows": tape.rows,
        "rows_per_s": round(tape.rows / reading),
        "quotes_per_s": round(count / playing),
        "built_quotes_per_s": round(count / building),
        "candles": candles,
        "is_open_ns": round(asking * 1e9 / 100_000),
    }


def main() -> None:
    """Measure every file named."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("files", nargs="*", type=Path)
    files = options.parse_args().files or [sample_path()]
    print(json.dumps([measure(path) for path in files], indent=2))


if __name__ == "__main__":
    main()
