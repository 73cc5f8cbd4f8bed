"""Fuzz every parser: `scripts/fuzz [--inputs N] [--seed N] [PARSER]…`."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from importlib.util import find_spec

from tests.fuzz.parsers import PARSERS


def main() -> int:
    """Exit 1 if any input crashed a parser or was accepted wrongly; says which input it was."""
    options = argparse.ArgumentParser(prog="scripts/fuzz", description=main.__doc__)
    options.add_argument("--inputs", type=int, default=1_000_000, help="for each parser")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("parsers", nargs="*", choices=[*PARSERS, []], metavar="PARSER")
    chosen = options.parse_args()
    failed = 0
    for name in chosen.parsers or PARSERS:
        if name == "parquet" and find_spec("pyarrow") is None:
            sys.stdout.write("parquet: skipped, sepd[parquet] is not installed\n")
            continue
        failed += not fuzz(name, chosen.seed, chosen.inputs)
    return 1 if failed else 0


def fuzz(name: str, seed: int, inputs: int) -> bool:
    """Every input has its own seed, so that a failure can be repeated alone."""
    outcomes: Counter[str] = Counter()
    started = time.perf_counter()
    for number in range(inputs):
        try:
            outcomes[PARSERS[name](random.Random(f"{name} {seed} {number}"))] += 1
        except Exception as error:  # noqa: BLE001 - a crash of any kind is the finding
            outcomes["FAILED"] += 1
            if outcomes["FAILED"] <= 5:
                fault = f"{name}: input {number}: {type(error).__name__}: {error}\n"
                sys.stderr.write(fault)
    seconds = time.perf_counter() - started
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    sys.stdout.write(f"{name}: {inputs} inputs, {counts}, {seconds:.1f} s\n")
    sys.stdout.flush()
    return not outcomes["FAILED"]


if __name__ == "__main__":
    sys.exit(main())
