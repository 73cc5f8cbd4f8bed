"""`sepd venue`: the practice venue on one or more tapes."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from sepd.clock import SystemClock
from sepd.domain.market import Granularity
from sepd.errors import ConfigError, InputError
from sepd.market.calendar import load_calendar
from sepd.market.tape import DEFAULT_SPREAD_POINTS, open_tape
from sepd.venue.conductor import Conductor, Speed
from sepd.venue.config import load_rules
from sepd.venue.faults import NO_FAULTS, FaultScript, load_faults
from sepd.venue.limits import Limits
from sepd.venue.server import Listen, build, serve

Tapes = Annotated[list[Path], typer.Option("--tape", metavar="FILE", help="Recorded prices.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="0 takes any free one.")]
SpeedText = Annotated[str, typer.Option("--speed", help="Times real time, or max, or step.")]
Lockstep = Annotated[
    Granularity | None,
    typer.Option(help="Wait for the paced client at each close of such a candle."),
]
Balance = Annotated[str | None, typer.Option(help="Opening balance, home currency.")]
Home = Annotated[str | None, typer.Option(help="Home currency of the account.")]
Spread = Annotated[int, typer.Option(min=0, help="Ask − bid of tapes that recorded mid prices.")]
Rules = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Account rules (TOML); see docs/venue.md.")
]
Faults = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Scripted trouble (TOML or JSON).")
]
Limited = Annotated[bool, typer.Option("--limits", help="Enforce OANDA's rate limits.")]
WithParent = Annotated[
    bool, typer.Option("--exit-with-parent", help="End when the parent process does.")
]


def venue(
    tape: Tapes,
    port: Port = 0,
    speed: SpeedText = "1",
    lockstep: Lockstep = None,
    balance: Balance = None,
    home: Home = None,
    spread_points: Spread = DEFAULT_SPREAD_POINTS,
    rules: Rules = None,
    faults: Faults = None,
    limits: Limited = False,
    exit_with_parent: WithParent = False,
) -> None:
    """Serve OANDA v20 over recorded prices; the first line printed says where."""
    token = secrets.token_hex(16)
    config = load_rules(rules, token=token, home_currency=home, balance=balance)
    script = load_faults(faults) if faults else NO_FAULTS
    pace = _speed(speed)
    tapes = [open_tape(path, spread_points=spread_points) for path in tape]
    conductor = build(tapes, config, SystemClock(), pace, lockstep, load_calendar())
    listen = Listen(port=port, exit_with_parent=exit_with_parent)
    uvloop.run(_serve(conductor, listen, script, Limits() if limits else None))


async def _serve(
    conductor: Conductor, listen: Listen, script: FaultScript, limits: Limits | None
) -> None:
    try:
        await serve(conductor, listen, _announce, script, limits)
    except* (InputError, ConfigError) as group:
        raise group.exceptions[0] from None


def _announce(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the contract of the command: the first line of stdout


def _speed(text: str) -> Speed:
    if text == "max":
        return "max"
    if text == "step":
        return "step"
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor <= 1e9:
        raise InputError(f"--speed {text!r}: give a number above 0, max or step.")
    return factor
