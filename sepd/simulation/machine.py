"""The machine that keeps the daemon running: a service manager, and an operator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sepd.simulation.network import NetworkedLoop
from sepd.simulation.process import Ended, Exit, Process
from sepd.simulation.trace import Trace

RESTART_S = 2.0
STOP_S = 20.0


class Machine:
    """Starts the daemon again whenever it has ended, until it is told to rest.

    Args:
        start: makes the process of a given number.
        violated: told what must not happen: rule and sentence.

    Attributes:
        process: the daemon that lives now, or the one that lived last.
        restart_after_s: pause before the next start.
        operator: set while nobody has to look at a daemon that halted by itself.
    """

    def __init__(
        self,
        start: Callable[[], Process],
        loop: NetworkedLoop,
        trace: Trace,
        violated: Callable[[str, str], None],
    ) -> None:
        self.process: Process | None = None
        self.restart_after_s = RESTART_S
        self.starts = 0
        self._start = start
        self._loop = loop
        self._trace = trace
        self._violated = violated
        self._resting = False
        self._skew_ns = 0
        self._attended = asyncio.Event()

    async def run(self) -> None:
        """Keep the daemon running; returns once it rests."""
        while not self._resting:
            self.starts += 1
            self.restart_after_s = RESTART_S
            process = self.process = self._start()
            process.clock.skew(self._skew_ns)
            self._trace.note(f"starts {process.owner}")
            ended = await process.run()
            self._trace.note(f"{process.owner} {ended.how} {ended.why}")
            if ended.how is Exit.BUG:
                self._violated("ends_running_or_halted", f"the daemon died of {ended.why}")
            if not self._resting:
                await self._pause(ended)

    async def _pause(self, ended: Ended) -> None:
        """A daemon that halted by itself stays so until somebody has looked at it."""
        if ended.how in {Exit.HALTED, Exit.MISCONFIGURED}:
            await self._attended.wait()
        await asyncio.sleep(self.restart_after_s)

    def kill(self, restart_after_s: float, *, silently: bool) -> None:
        """SIGKILL, and a start after a while."""
        process = self.process
        if process is not None and process.alive:
            self._loop.thaw(process.owner)
            self.restart_after_s = restart_after_s
            process.kill(silently=silently)

    def terminate(self, restart_after_s: float) -> None:
        """SIGTERM, and a start after a while; it must have ended in `STOP_S`."""
        process = self.process
        if process is not None and process.alive:
            self.restart_after_s = restart_after_s
            self._loop.thaw(process.owner)
            process.stop.set()
            self._loop.call_later(STOP_S, self._check_stopped, process)

    def rest(self) -> None:
        """SIGTERM, for the last time."""
        self._resting = True
        self._attended.set()
        self.terminate(0.0)

    def attend(self) -> None:
        """Somebody looks at a daemon that halted by itself, and starts it again."""
        self._attended.set()

    def skew(self, skew_ns: int) -> None:
        """The machine's UTC is off by so much."""
        self._skew_ns = skew_ns
        if self.process is not None:
            self.process.clock.skew(skew_ns)

    def _check_stopped(self, process: Process) -> None:
        if process.ended is None:
            self._violated("stops_in_time", f"{process.owner} runs {STOP_S:g} s after SIGTERM")
