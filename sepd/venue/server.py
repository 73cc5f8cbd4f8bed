"""The venue as a process: tapes in, a listening socket out, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence

import msgspec
from aiohttp import web
from msgspec import Struct

from sepd.domain.market import Granularity
from sepd.errors import ConfigError, InputError
from sepd.market.calendar import Calendar
from sepd.market.tape import Tape
from sepd.ports import Clock
from sepd.venue.app import create_app
from sepd.venue.conductor import Conductor, Speed
from sepd.venue.config import VenueConfig
from sepd.venue.engine import Engine
from sepd.venue.faults import NO_FAULTS, FaultScript
from sepd.venue.limits import Limits
from sepd.venue.lines import LineEncoder
from sepd.venue.playback import Playback
from sepd.venue.recording import Recording

_CLOSE_S = 2.0
_PARENT_CHECK_S = 1.0


class Listen(Struct, frozen=True):
    """Where the server listens and when it ends by itself."""

    host: str = "127.0.0.1"
    port: int = 0
    exit_with_parent: bool = False


def build(
    tapes: Sequence[Tape],
    config: VenueConfig,
    clock: Clock,
    speed: Speed,
    lockstep: Granularity | None = None,
    calendar: Calendar | None = None,
) -> Conductor:
    """A venue over `tapes`, not yet running.

    Raises:
        ConfigError: a quote currency cannot be converted into the account's.
    """
    recording = Recording(tapes)
    engine = Engine(recording.instruments, config, recording.start_ns, calendar)
    if unpriced := engine.account.market.unpriced():
        raise ConfigError(
            f"Nothing converts {', '.join(unpriced)} into {config.home_currency}: add the tape of "
            "such a pair, or home_rates to the --rules file."
        )
    playback = Playback(recording, engine, lockstep)
    return Conductor(playback, LineEncoder(recording, config.liquidity), clock, speed)


async def serve(
    conductor: Conductor,
    listen: Listen,
    announce: Callable[[str], None],
    script: FaultScript = NO_FAULTS,
    limits: Limits | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, or until the parent process is gone if so asked.

    Args:
        conductor: the venue.
        listen: its socket.
        announce: receives the JSON line with port, token and account.
        script: trouble to make.
        limits: what a client may do; None for no limits.

    Raises:
        InputError: the port is taken.
    """
    parent = os.getppid()
    stop = _told_to_stop()
    runner = web.AppRunner(
        create_app(conductor, script, limits),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_CLOSE_S,
    )
    await runner.setup()
    try:
        async with asyncio.TaskGroup() as tasks:
            playing = tasks.create_task(conductor.run())
            port = await _listen(runner, listen)
            announce(_hello(conductor, port))
            if listen.exit_with_parent:
                watch = tasks.create_task(_stop_with_parent(parent, stop))
            await stop.wait()
            conductor.streams.close()
            playing.cancel()
            if listen.exit_with_parent:
                watch.cancel()
    finally:
        await runner.cleanup()


def _hello(conductor: Conductor, port: int) -> str:
    config = conductor.engine.account.config
    named = {"port": port, "token": config.token, "account": config.account_id}
    return msgspec.json.encode(named).decode()


def _told_to_stop() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _listen(runner: web.AppRunner, listen: Listen) -> int:
    try:
        await web.TCPSite(runner, listen.host, listen.port).start()
    except OSError as error:
        raise InputError(
            f"Port {listen.port} on {listen.host} cannot be used: {os.strerror(error.errno or 0)}; "
            "give another --port, or 0 for any free one."
        ) from None
    address = runner.addresses[0]
    return int(address[1])


async def _stop_with_parent(parent: int, stop: asyncio.Event) -> None:
    """Set `stop` when the process that started this one is gone."""
    while os.getppid() == parent:  # noqa: ASYNC110 - the kernel tells nobody in an event
        await asyncio.sleep(_PARENT_CHECK_S)
    stop.set()
