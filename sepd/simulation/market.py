"""The practice venue of a simulation: the real application, its tape advanced in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from aiohttp import web

from sepd.market.tape import Tape
from sepd.simulation.loop import LoopClock, VirtualLoop
from sepd.venue.account import Account
from sepd.venue.app import create_app
from sepd.venue.conductor import HEARTBEAT_NS
from sepd.venue.config import VenueConfig
from sepd.venue.context import VENUE
from sepd.venue.faults import FaultScript
from sepd.venue.server import build

PORT = 8_000
TOKEN = "practice"  # noqa: S105 - a name on the loopback interface, not a secret
ACCOUNT = "101-001-1000001-001"
_BEFORE_NS = 1_000_000


class Market:
    """Serves OANDA v20 at `PORT` of the simulated network.

    Args:
        script: trouble that the venue makes.
    """

    def __init__(self, tapes: Sequence[Tape], loop: VirtualLoop, script: FaultScript) -> None:
        config = VenueConfig(account_id=ACCOUNT, token=TOKEN, balance=Decimal(100_000))
        self._loop = loop
        self.origin_ns = start_ns = min(tape.start_ns for tape in tapes)
        self.conductor = build(tapes, config, LoopClock(loop, start_ns), "step")
        quoted = self.conductor.playback.recording.times.tolist()
        beats = range(start_ns + HEARTBEAT_NS, quoted[-1], HEARTBEAT_NS)
        self._times = sorted([*quoted, *(beat_ns - _BEFORE_NS for beat_ns in beats)])
        app = create_app(self.conductor, script)
        self.middlewares = app.middlewares
        self.plan = app[VENUE].plan
        # As at a broker, what has arrived is carried out although the client has gone.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    @property
    def account(self) -> Account:
        """The account as the broker keeps it."""
        return self.conductor.engine.account

    async def run(self) -> None:
        """Serve and play until cancelled."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", PORT).start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.conductor.run())
                tasks.create_task(self._play())
        finally:
            self.conductor.streams.close()
            await self._runner.cleanup()

    async def _play(self) -> None:
        """Each quote at its instant; the venue's clock is right when it sends a heartbeat."""
        for time_ns in self._times:
            due_s = (time_ns - self.origin_ns) / 1e9
            await asyncio.sleep(max(0.0, due_s - self._loop.time()))
            await self.conductor.advance(None, time_ns)
