"""`sepd demo`: the whole loop on recorded prices, in one command."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from sepd import log
from sepd.cli.options import AsJson, ConfigFile, print_json
from sepd.demo import Moment, Summary, Watcher, run_demo
from sepd.errors import InputError
from sepd.settings_sources import load_settings


def demo(
    config: ConfigFile = None,
    speed: Annotated[
        str,
        typer.Option(
            metavar="max|N", help="Bars per second; with a tape of ticks, times real time."
        ),
    ] = "50",
    leave: Annotated[bool, typer.Option("--exit", help="End with the tape.")] = False,
    as_json: AsJson = False,
    port: Annotated[int, typer.Option(help="Port of the API.")] = 8080,
    tape: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recorded prices; default: EUR/USD, hourly.")
    ] = None,
) -> None:
    """Play recorded prices through the whole daemon against a practice venue."""
    if speed != "max" and not (speed.replace(".", "", 1).isdecimal() and float(speed) > 0):
        raise InputError(f"--speed takes max or a positive number, not {speed!r}.")
    settings = load_settings(config, overrides={"api": {"port": port}})
    quiet = as_json or sys.stderr.isatty()
    log.configure(settings.log.format, "warning" if quiet else settings.log.level)
    with _progress(as_json) as watcher, asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        summary = loop.run(run_demo(settings, tape, speed, leave, watcher))
    if as_json:
        print_json(summary)
    else:
        Console(stderr=True).print(_table(summary))


@contextmanager
def _progress(quiet: bool) -> Iterator[Watcher]:
    """A progress bar on stderr while it is a terminal; else one line where sepd listens."""
    if quiet or not sys.stderr.isatty():
        yield lambda moment: _announce(moment, quiet)
        return
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=1.0, note="")

        def show(moment: Moment) -> None:
            if moment.url and not moment.share:
                bar.console.print(f"status: {moment.url}/status   (Ctrl-C ends)")
            bar.update(task, completed=moment.share, description=moment.title, note=moment.note)

        yield show


def _announce(moment: Moment, quiet: bool) -> None:
    if moment.url and not moment.share and not quiet:
        typer.echo(f"status: {moment.url}/status", err=True)


def _table(summary: Summary) -> Table:
    """What the run came to, for people; `--json` has every figure."""
    refused = ", ".join(f"{count} {reason}" for reason, count in summary.refused.items())
    rejected = ", ".join(f"{count} {reason}" for reason, count in summary.rows_rejected.items())
    agree = summary.realised_pl == summary.trading_results_pl == summary.venue_balance_change
    table = Table(title=f"Played {summary.tape}", show_header=False, title_justify="left")
    for name, text in (
        ("prices", f"{summary.quotes_in:,} arrived, {summary.quotes_stored:,} stored"),
        ("rows refused", rejected or "none"),
        ("candles", f"{summary.candles_in:,} built, {summary.candles_stored:,} stored"),
        ("signals", f"{summary.signals:,}"),
        ("orders", f"{summary.orders:,}: {summary.filled:,} filled, {refused or 'none'} refused"),
        ("realised P/L", f"{summary.realised_pl:f}"),
        ("daemon, store and venue", "agree to the last digit" if agree else "DISAGREE"),
        ("open positions", f"{summary.open_positions}"),
        ("speed", f"{summary.events_per_s:,.0f} events/s over {summary.elapsed_s:.1f} s"),
        ("peak memory", f"{summary.peak_rss_mb:.0f} MB"),
        ("decisions", f"sha256 {summary.decisions_sha256[:16]}…"),
    ):
        table.add_row(name, text)
    return table
