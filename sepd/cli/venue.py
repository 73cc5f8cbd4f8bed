"""`sepd venue`: the practice venue on one or more tapes."""

from __future__ import annotations

import secrets
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from sepd.clock import SystemClock
from sepd.domain.market import Granularity
from sepd.errors import InputError
from sepd.market.tape import DEFAULT_SPREAD_POINTS, open_tape
from sepd.venue.conductor import Conductor, Speed
from sepd.venue.config import VenueConfig
from sepd.venue.server import Listen, build, serve


def venue(
    tape: Annotated[list[Path], typer.Option("--tape", metavar="FILE", help="Recorded prices.")],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes any free one.")] = 0,
    speed: Annotated[str, typer.Option(help="Times real time, or max, or step.")] = "1",
    lockstep: Annotated[
        Granularity | None,
        typer.Option(help="Wait for the paced client at each close of such a candle."),
    ] = None,
    balance: Annotated[str, typer.Option(help="Opening balance, home currency.")] = "100000",
    home: Annotated[str, typer.Option(help="Home currency of the account.")] = "USD",
    spread_points: Annotated[
        int, typer.Option(min=0, help="Ask − bid of tapes that recorded mid prices.")
    ] = DEFAULT_SPREAD_POINTS,
    exit_with_parent: Annotated[
        bool, typer.Option(help="End when the parent process does.")
    ] = False,
) -> None:
    """Serve OANDA v20 over recorded prices; the first line printed says where."""
    config = VenueConfig(token=secrets.token_hex(16), home_currency=home, balance=_amount(balance))
    tapes = [open_tape(path, spread_points=spread_points) for path in tape]
    conductor = build(tapes, config, SystemClock(), _speed(speed), lockstep)
    uvloop.run(_serve(conductor, Listen(port=port, exit_with_parent=exit_with_parent)))


async def _serve(conductor: Conductor, listen: Listen) -> None:
    try:
        await serve(conductor, listen, _announce)
    except* InputError as group:
        raise group.exceptions[0] from None


def _announce(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the contract of the command: the first line of stdout


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise InputError(f"--balance {text!r} is not a decimal number.") from None
    if not amount.is_finite() or amount <= 0:
        raise InputError(f"--balance {text} must be above 0.")
    return amount


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
