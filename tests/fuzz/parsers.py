"""Fuzzing: each parser takes a seeded generator and one damaged input from it.

It says `accepted` or `refused`, and raises on a crash or a wrong acceptance.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.fuzz.files import FILES
from tests.fuzz.tapes import CASES, fuzz_archive, fuzz_tape

PARSERS: dict[str, Callable[[random.Random], str]] = {
    **{kind: fuzz_tape(kind) for kind in CASES},
    "archive": fuzz_archive,
    **FILES,
}
