"""Named places on the order path where a test may end the process.

`SEPD_FAILPOINT=name` or `name:N` in the environment kills this process with SIGKILL when the
place is reached for the N-th time (N = 1 if not given). Without the variable `failpoint` is an
empty function.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

NAMES = (
    "submit.before_reserve",
    "submit.after_reserve",
    "submit.after_enqueue",
    "work.dequeued",
    "commit.before",
    "commit.after",
    "commit.duplicate",
    "commit.failed",
    "commit.kept",
    "exits.committed",
    "exits.cleared",
    "verify.before",
    "verify.after",
    "verify.fenced",
    "send.before",
    "send.after",
    "outcome.done",
    "outcome.refused",
    "outcome.unsent",
    "outcome.ambiguous",
    "outcome.applied",
    "record.before",
    "record.after",
    "release.before",
    "release.after",
    "block.before",
    "block.after",
    "unblock.after",
    "repeat.before",
    "repeat.after",
    "scan.before",
    "scan.after",
    "scan.found",
    "scan.absent",
    "quiet.before",
    "quiet.after",
    "apply.before",
    "apply.stored",
    "apply.booked",
    "apply.after",
    "catch_up.before",
    "catch_up.after",
    "recover.loaded",
    "recover.scanned",
    "recover.applied",
    "recover.snapshot",
    "recover.compared",
    "kill.before",
    "kill.latched",
    "kill.cancelled",
    "kill.after",
)


def armed(
    setting: str, die: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL)
) -> Callable[[str], None]:
    """The function that dies at the place that `setting` names.

    Raises:
        ValueError: `setting` names no place.
    """
    wanted, _, count = setting.partition(":")
    if wanted not in NAMES:
        raise ValueError(f"SEPD_FAILPOINT names no failpoint: {wanted!r}.")
    left = int(count or 1)

    def reached(name: str) -> None:
        nonlocal left
        if name == wanted:
            left -= 1
            if left == 0:
                die()

    return reached


def _disarmed(name: str) -> None:
    """Nothing."""


failpoint = armed(os.environ["SEPD_FAILPOINT"]) if os.environ.get("SEPD_FAILPOINT") else _disarmed
