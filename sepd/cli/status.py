"""`sepd status`: one screen of truth, read from the daemon's own /status."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import aiohttp
import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from sepd.cli.options import AsJson, ConfigFile, print_json
from sepd.errors import TransientError
from sepd.settings_sources import load_settings

REFRESH_S = 1.0


def status(
    config: ConfigFile = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second.")] = False,
    url: Annotated[str, typer.Option(help="Address of the daemon's API.")] = "",
) -> None:
    """Show what the daemon says of itself; exit 1 when it is not healthy."""
    address = url.rstrip("/") or _default_address(config)
    healthy, body = asyncio.run(_fetch(address))
    if as_json:
        print_json(body)
    elif watch:
        _watch(address, body)
    else:
        Console().print(screen(body))
    raise typer.Exit(0 if healthy else 1)


def _default_address(config: ConfigFile) -> str:
    api = load_settings(config).api
    return f"http://{api.host}:{api.port}"


async def _fetch(address: str) -> tuple[bool, dict[str, Any]]:
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{address}/status") as response,
        ):
            body: dict[str, Any] = msgspec.json.decode(await response.read())
            return response.status == 200, body
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        raise TransientError(
            f"No sepd answers at {address} ({type(error).__name__}). Is it running? "
            "Start it with sepd run, or name its address with --url."
        ) from None


def _watch(address: str, body: dict[str, Any]) -> None:
    with Live(screen(body), screen=False, auto_refresh=False) as live:
        while True:
            asyncio.run(asyncio.sleep(REFRESH_S))
            live.update(screen(asyncio.run(_fetch(address))[1]), refresh=True)


def screen(body: dict[str, Any]) -> Table:
    """The status as a table of two columns."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    for name, text in _lines(body):
        table.add_row(name, text)
    return table


def _lines(body: dict[str, Any]) -> list[tuple[str, str]]:
    queue, latency, orders = body["queue"], body["latency_us"], body["orders"]
    lines = [
        ("state", f"{body['state']}  ({body['role']}, {body['mode']}, sepd {body['version']})"),
        ("uptime", f"{body['uptime_s']:.0f} s, settings {body['config_version']}"),
        ("queue", f"{queue['depth']} waiting, {queue['lag_ms']:.1f} ms behind"),
        ("latency", f"p50 {latency['p50']} µs, p99 {latency['p99']} µs, {body['backend']}"),
    ]
    lines += [
        (name, "ok" if body[name]["ok"] else f"DOWN  {body[name]['detail']}")
        for name in ("store", "cache", "broker")
    ]
    for name, one in body["instruments"].items():
        age = (
            "no price yet" if one["last_event_age_ms"] is None else f"{one['last_event_age_ms']} ms"
        )
        stale = "  STALE" if one["stale"] else ""
        candles = ", ".join(f"{count} {length}" for length, count in one["candles"].items())
        lines.append((name, f"{age}{stale}, spread {one['spread_points']} points, {candles}"))
    refused = ", ".join(f"{count} {reason}" for reason, count in orders["refused"].items())
    lines += [
        ("signals", f"{body['signals']['total']}, last {body['signals']['last']}"),
        ("orders", f"{orders['total']}: {orders['filled']} filled, {orders['open']} open"),
        ("refused", refused or "none"),
    ]
    lines += [
        ("position", f"{p['instrument']} {p['units']} at {p['price']} since {p['opened_at']}")
        for p in body["positions"]
    ]
    profit, risk = body["pl"], body["risk"]
    lines += [
        ("P/L", f"{profit['realised']} {profit['currency']}, balance {profit['balance']}"),
        ("risk", f"daily loss {risk['daily_loss']} of {risk['daily_loss_limit']}"),
    ]
    if risk["kill"]:
        lines.append(("KILLED", risk["kill"]))
    if body["last_error"]:
        lines.append(("last error", body["last_error"]))
    return lines
