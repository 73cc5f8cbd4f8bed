"""`sepd ctl`: the operator's commands, over the daemon's Unix socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import typer

from sepd.cli.options import AsJson, ConfigFile, print_json
from sepd.commands import COMMANDS, Request
from sepd.daemon import control_socket
from sepd.errors import TransientError
from sepd.settings_sources import load_settings

app = typer.Typer(help="Commands to the running daemon.", no_args_is_help=True)
TIMEOUT_S = 60


def _register(name: str, text: str) -> None:
    @app.command(name, help=text)
    def command(
        config: ConfigFile = None,
        as_json: AsJson = False,
        reason: Annotated[str, typer.Option(help="Why; kept with the kill switch.")] = "operator",
        flatten: Annotated[
            bool, typer.Option("--flatten", help="With kill: close all trades, too.")
        ] = False,
    ) -> None:
        socket = control_socket(load_settings(config))
        status, body = asyncio.run(_post(socket, name, Request(reason, flatten)))
        if as_json:
            print_json(body)
        else:
            typer.echo(_sentence(name, body), err=status != 200)
        raise typer.Exit(0 if status == 200 else 1)


for _command in COMMANDS.values():
    _register(_command.name, _command.help)


async def _post(socket: Path, name: str, request: Request) -> tuple[int, dict[str, Any]]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    connector = aiohttp.UnixConnector(path=str(socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post(
                f"http://sepd/api/v1/commands/{name}", data=msgspec.json.encode(request)
            ) as response,
        ):
            body: dict[str, Any] = msgspec.json.decode(await response.read())
            return response.status, body
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        raise TransientError(
            f"No sepd answers at {socket} ({type(error).__name__}). Is it running, with the same "
            "data_dir, and as this user?"
        ) from None


def _sentence(name: str, body: dict[str, Any]) -> str:
    if not body["ok"]:
        return f"{name} refused: {body['error']}"
    result = body["result"]
    if isinstance(result, list):
        return "\n".join(_line(row) for row in result) or "none"
    return str(result)


def _line(row: dict[str, Any]) -> str:
    return "  ".join(f"{key} {value}" for key, value in row.items())
