"""`sepd data`: download, import, verify, list the gaps of and export recorded history."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from sepd.cli.history import (
    FOREVER_NS,
    alone,
    chosen,
    data_settings,
    history_root,
    instant,
    open_broker,
    open_store,
    progress,
    run,
    show_report,
    stored,
)
from sepd.cli.options import AsJson, ConfigFile
from sepd.clock import SystemClock
from sepd.domain.market import Granularity
from sepd.domain.time import format_time
from sepd.errors import InputError
from sepd.history.check import Verdict, holes, sample_again, verify
from sepd.history.dataset import Dataset
from sepd.history.download import Downloader
from sepd.history.download import Progress as Downloaded
from sepd.history.files import Imported, export, import_candles_of, import_tape, read_any
from sepd.history.load import compare_stored
from sepd.market.calendar import Stretch, load_calendar
from sepd.market.tape import DEFAULT_SPREAD_POINTS
from sepd.settings import Settings

app = typer.Typer(help="Recorded history, with its provenance.", no_args_is_help=True)

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[DATASET]…", help="EUR_USD.M1 …; default: all.")
]
From = Annotated[str, typer.Option("--from", metavar="TIME", help="2014-05-01, or RFC 3339.")]
To = Annotated[str, typer.Option("--to", metavar="TIME", help="First instant left out.")]
IntoStore = Annotated[bool, typer.Option("--store", help="Also write into the database.")]


@app.command("download")
def download(
    instruments: Annotated[
        list[str] | None, typer.Argument(metavar="[INSTRUMENT]…", help="Default: the settings'.")
    ] = None,
    start: From = "",
    end: To = "",
    lengths: Annotated[
        list[Granularity] | None, typer.Option("--granularity", "-g", help="May be repeated.")
    ] = None,
    store: IntoStore = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Fetch complete candles from the broker; run it again to go on where it stopped."""
    settings = data_settings(config, as_json)
    if not start:
        raise InputError("Say where to begin: --from 2014-05-01.")
    from_ns = instant(start)
    to_ns = instant(end) if end else SystemClock().now_ns()
    if to_ns <= from_ns:
        raise InputError(f"--to {end} is not after --from {start}.")
    names = instruments or list(settings.instruments)
    wanted = [(name, one) for name in names for one in lengths or [settings.market.base]]
    with alone(settings), progress("candles", as_json) as show:
        report = run(_download(settings, wanted, (from_ns, to_ns), show, store))
    show_report(report, as_json)


async def _download(
    settings: Settings,
    wanted: Sequence[tuple[str, Granularity]],
    window: tuple[int, int],
    show: Callable[[Downloaded], None],
    store: bool,
) -> list[dict[str, Any]]:
    report = []
    async with open_broker(settings) as broker:
        known = await broker.instruments()
        for name, length in wanted:
            if name not in known:
                raise InputError(f"{name} is not an instrument of this account.")
            dataset = Dataset(history_root(settings), known[name], length)
            rng = random.Random()  # noqa: S311 - jitter of retries
            source = Downloader(broker, settings.broker.environment, SystemClock(), rng, show)
            received = await source.fill(dataset, *window)
            written = await stored(settings, dataset, window) if store else 0
            manifest = dataset.manifest()
            report.append(
                {
                    "dataset": dataset.folder.name,
                    "candles": received,
                    "refused": source.refused,
                    "rows": manifest.rows,
                    "stored": written,
                    "chain": manifest.chain,
                }
            )
    return report


@app.command("import")
def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…")],
    instrument: Annotated[
        str | None, typer.Option(help="What they price; default: as their names say.")
    ] = None,
    spread_points: Annotated[
        int, typer.Option(help="Ask − bid given to prices of one side, or of the middle.")
    ] = DEFAULT_SPREAD_POINTS,
    candles: Annotated[
        list[Granularity] | None, typer.Option("--candles", help="Build these from ticks too.")
    ] = None,
    store: IntoStore = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Import CSV (ours, LEAN, Dukascopy, HistData; plain, gzip, zip) and Parquet files."""
    settings = data_settings(config, as_json)
    report: list[Imported | dict[str, str]] = []
    with alone(settings), progress("files", as_json) as show:
        for number, path in enumerate(files, 1):
            try:
                report += _import(settings, path, instrument, spread_points, candles or [])
            except InputError as error:
                report.append({"file": path.name, "refused": str(error)})
            show(Downloaded(number, len(files), sum(_rows(one) for one in report)))
        touched = {one.dataset for one in report if isinstance(one, Imported)}
        if store:
            for dataset in chosen(settings, sorted(touched)):
                run(stored(settings, dataset, (0, FOREVER_NS)))
    show_report(report, as_json)
    good = all(isinstance(one, Imported) and not one.differing for one in report)
    raise typer.Exit(0 if good else 1)


def _import(
    settings: Settings,
    path: Path,
    instrument: str | None,
    spread_points: int,
    lengths: Sequence[Granularity],
) -> list[Imported]:
    tape = read_any(path, instrument, spread_points)
    now_ns = SystemClock().now_ns()
    note = "" if tape.both_sides else f"spread={spread_points} points"
    root = history_root(settings)
    done = [import_tape(root, tape, now_ns, note)]
    if tape.granularity is None:
        done += [import_candles_of(root, tape, length, now_ns, note) for length in lengths]
    return done


@app.command("verify")
def verify_data(
    names: Names = None,
    sample: Annotated[
        int, typer.Option(min=0, help="Stretches of 60 candles to ask the broker for again.")
    ] = 0,
    store: Annotated[bool, typer.Option("--store", help="Compare the database too.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Check every row against its digest; exit 1 and name it if one was altered."""
    settings = data_settings(config, as_json)
    calendar = load_calendar()
    verdicts = [verify(dataset, calendar) for dataset in chosen(settings, names)]
    if store:
        verdicts = run(_with_database(settings, verdicts))
    if sample:
        verdicts = run(_compared(settings, verdicts, sample))
    show_report(verdicts, as_json)
    raise typer.Exit(1 if any(verdict.findings for verdict in verdicts) else 0)


async def _compared(settings: Settings, verdicts: Sequence[Verdict], count: int) -> list[Verdict]:
    done = []
    rng = random.Random()  # noqa: S311 - which rows are looked at again
    async with open_broker(settings) as broker:
        for verdict in verdicts:
            (dataset,) = chosen(settings, [verdict.dataset])
            if dataset.granularity is None:
                done.append(verdict)
                continue
            compared, findings = await sample_again(dataset, broker, rng, count)
            all_findings = (*verdict.findings, *findings)
            done.append(replace(verdict, compared=compared, findings=all_findings))
    return done


async def _with_database(settings: Settings, verdicts: Sequence[Verdict]) -> list[Verdict]:
    done = []
    for verdict in verdicts:
        (dataset,) = chosen(settings, [verdict.dataset])
        async with open_store(settings, dataset.instrument) as store:
            stored, findings = await compare_stored(store, dataset)
        done.append(replace(verdict, stored=stored, findings=(*verdict.findings, *findings)))
    return done


@app.command("gaps")
def gaps(names: Names = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List every stretch without prices and what it is; exit 1 if data is missing."""
    settings = data_settings(config, as_json)
    calendar = load_calendar()
    report = [
        {
            "dataset": dataset.folder.name,
            "kind": hole.kind.value,
            "from": format_time(hole.from_ns),
            "to": format_time(hole.to_ns),
            "seconds": (hole.to_ns - hole.from_ns) // 1_000_000_000,
        }
        for dataset in chosen(settings, names)
        for hole in holes(dataset, calendar)
    ]
    show_report(report, as_json)
    missing = any(one["kind"] == Stretch.MISSING.value for one in report)
    raise typer.Exit(1 if missing else 0)


@app.command("export")
def export_data(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="EUR_USD.M1 for instance.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="….csv or ….parquet")],
    start: From = "",
    end: To = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write a dataset, or a part of it, as CSV or Parquet."""
    settings = data_settings(config, as_json)
    (dataset,) = chosen(settings, [name])
    from_ns = instant(start) if start else 0
    rows = export(dataset, file, from_ns, instant(end) if end else FOREVER_NS)
    show_report([{"dataset": name, "file": str(file), "rows": rows}], as_json)


def _rows(one: Imported | dict[str, str]) -> int:
    return one.rows if isinstance(one, Imported) else 0
