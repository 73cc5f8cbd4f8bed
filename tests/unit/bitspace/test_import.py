"""What importing the engine costs."""

import subprocess
import sys

SCRIPT = """
import sys
before = set(sys.modules)
import sepd.bitspace
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_importing_the_engine_needs_numpy_alone() -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    loaded = {name for name in found.stdout.split() if name not in sys.stdlib_module_names}
    assert loaded == {"numpy", "sepd"}
