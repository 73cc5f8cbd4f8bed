"""`sepd run` on a tape's time: `python -m tests.support.daemon_process ORIGIN BEGAN SPEED`.

At the monotonic time BEGAN the clock says ORIGIN (both ns), and it runs SPEED times as fast as
real time. All else is the daemon as it is: its settings come from the environment.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

from sepd import log
from sepd.cli.app import app, run
from sepd.clock import SystemClock
from sepd.daemon import run_daemon
from sepd.settings_sources import load_settings


class TapeClock(SystemClock):
    """UTC of a tape that is played at a steady speed; monotonic time is real."""

    def __init__(self, origin_ns: int, began_ns: int, speed: float) -> None:
        self._origin_ns = origin_ns
        self._began_ns = began_ns
        self._speed = speed

    def now_ns(self) -> int:
        """UTC of the tape, ns."""
        return self._origin_ns + round((self.monotonic_ns() - self._began_ns) * self._speed)


@app.command("run-on-tape")
def run_on_tape(origin_ns: int, began_ns: int, speed: float) -> None:
    """`sepd run` with another clock."""
    settings = load_settings(None)
    log.configure(settings.log.format, settings.log.level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_daemon(settings, TapeClock(origin_ns, began_ns, speed)))


if __name__ == "__main__":
    sys.exit(run(["run-on-tape", *sys.argv[1:]]))
