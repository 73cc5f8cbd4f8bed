"""`sepd simulate`: the whole daemon under virtual time, seed after seed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import track

from sepd.clock import SystemClock
from sepd.errors import InputError
from sepd.market.tape import sample_path
from sepd.simulation.campaign import Seen, Summary, cores, outcomes, summary
from sepd.simulation.minimise import minimise
from sepd.simulation.options import Options
from sepd.simulation.prices import check
from sepd.simulation.run import Outcome, planned
from sepd.simulation.run import simulate as run_seed

Seeds = Annotated[int, typer.Option(min=1, help="How many seeds.")]
First = Annotated[int, typer.Option(min=0, help="The first of them.")]
Minutes = Annotated[float, typer.Option(min=1.0, help="Virtual minutes with faults, per seed.")]
Twice = Annotated[float, typer.Option(min=0.0, max=1.0, help="Part of the seeds to run twice.")]
Jobs = Annotated[int, typer.Option(min=0, help="Processes; 0: one per core.")]
Tape = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Recorded prices; again for each pair. The EUR/USD sample."),
]
Keep = Annotated[
    str, typer.Option(metavar="N,N…", help="Bring about only these faults of the seed; - for none.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Log = Annotated[bool, typer.Option("--log", help="Print all that happened in the first seed.")]


def simulate(
    seeds: Seeds = 300,
    first: First = 0,
    minutes: Minutes = 30.0,
    twice: Twice = 0.01,
    jobs: Jobs = 0,
    tape: Tape = None,
    keep: Keep = "",
    log: Log = False,
    as_json: AsJson = False,
) -> None:
    """Run the real daemon against the practice venue in virtual time, with seeded faults.

    Exit 1 if an invariant was broken; the first failing seed is printed with the faults it takes.
    """
    tapes = tuple(tape or (sample_path(),))
    check(tapes)
    options = Options(tapes, minutes, _numbers(keep))
    if log:
        _tell(run_seed(first, options), options)
    clock = SystemClock()
    began_ns = clock.monotonic_ns()
    failed: list[Outcome] = []
    found = outcomes(range(first, first + seeds), options, twice, jobs or cores())
    report = summary(_noting(_shown(found, seeds), failed), first)
    wall_s = (clock.monotonic_ns() - began_ns) / 1e9
    if as_json:
        document = {**msgspec.to_builtins(report), "wall_s": round(wall_s, 3)}
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    else:
        _print(report, wall_s)
    if failed:
        _explain(failed[0], options)
    if report.violations:
        raise typer.Exit(1)


def _shown(found: Iterator[Seen], seeds: int) -> Iterator[Seen]:
    """A progress bar on stderr when it is a terminal."""
    console = Console(stderr=True)
    yield from track(found, "seeds", seeds, console=console, disable=not console.is_terminal)


def _noting(found: Iterator[Seen], failed: list[Outcome]) -> Iterator[Seen]:
    for item in found:
        if item.outcome.violations:
            failed.append(item.outcome)
        yield item


def _print(report: Summary, wall_s: float) -> None:
    speed = report.virtual_s / report.cpu_s if report.cpu_s else 0.0
    typer.echo(
        f"{report.seeds} seeds ({report.twice} twice), {sum(report.faults.values())} faults "
        f"of {len(report.faults)} kinds, {report.orders} orders, {report.starts} starts, "
        f"{report.virtual_s / 3600:.1f} virtual hours in {wall_s:.1f} s, "
        f"{speed:.0f} times real time on a core."
    )
    typer.echo(f"{len(report.violations)} violations; hash {report.hash}")


def _explain(failed: Outcome, options: Options) -> None:
    """The failing seed with the fewest faults that it takes, and how to run it again."""
    fewest, outcome = minimise(failed, options)
    _tell(outcome, fewest)


def _tell(outcome: Outcome, options: Options) -> None:
    say = Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print
    say(f"seed {outcome.seed}: {options.command(outcome.seed)}")
    for fault in planned(outcome.seed, options):
        say(f"  {fault}")
    for entry in outcome.log:
        say(str(entry))


def _numbers(text: str) -> tuple[int, ...] | None:
    """`3,7` as numbers, `-` as none of them, an empty text as all of them."""
    if not text:
        return None
    try:
        return tuple(int(part) for part in text.split(",")) if text != "-" else ()
    except ValueError:
        raise InputError(f"--keep {text!r}: give numbers with commas between them, or -.") from None
