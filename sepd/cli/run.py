"""`sepd run`: the daemon."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
import uvloop

from sepd import log
from sepd.cli.options import ConfigFile
from sepd.clock import SystemClock
from sepd.daemon import run_daemon
from sepd.settings import Mode, Role
from sepd.settings_sources import load_settings


def run(
    config: ConfigFile = None,
    role: Annotated[Role | None, typer.Option(help="Which part to play.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="Where orders go.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API.")] = None,
) -> None:
    """Run the daemon until it is told to stop (SIGTERM or Ctrl-C)."""
    overrides: dict[str, Any] = {
        key: value for key, value in (("role", role), ("mode", mode)) if value is not None
    }
    if port is not None:
        overrides["api"] = {"port": port}
    settings = load_settings(config, overrides=overrides)
    log.configure(settings.log.format, settings.log.level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_daemon(settings, SystemClock()))
