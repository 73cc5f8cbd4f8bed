"""A safeguard is taken out of a copy of the code, and tests are run on the copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from msgspec import Struct

import sepd

ROOT = Path(sepd.__file__).parent.parent
EXECUTION = "tests/unit/execution"
RISK = "tests/unit/risk"


class Sabotage(Struct, frozen=True):
    """In `file`, `good` becomes `bad`; tests in `tests` must fail."""

    what: str
    file: str
    good: str
    bad: str
    tests: str = EXECUTION


def run_copy(tests: str, folder: Path, sabotage: Sabotage | None) -> tuple[int, str]:
    """Exit code and output of `tests` in a copy of the code, sabotaged or not."""
    shutil.copytree(ROOT / "sepd", folder / "sepd")
    shutil.copytree(ROOT / "tests" / "support", folder / "tests" / "support")
    skip = shutil.ignore_patterns("test_sabotage.py", "__pycache__")
    shutil.copytree(ROOT / tests, folder / tests, ignore=skip)
    for name in ("pyproject.toml", "config", "migrations"):
        (folder / name).symlink_to(ROOT / name)
    if sabotage:
        file = folder / "sepd" / sabotage.file
        source = file.read_text()
        assert sabotage.good in source, "the safeguard has moved: say where it is"
        file.write_text(source.replace(sabotage.good, sabotage.bad))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", tests],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout[-500:]
