"""Options that every command shares, and how commands print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file; default config/sepd.toml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]


def print_json(value: Any) -> None:
    """One JSON document; decimals as texts, so that no digit is lost."""
    body = msgspec.json.encode(value, enc_hook=str)
    typer.echo(msgspec.json.format(body, indent=2).decode())
