"""`sepd replay` and `sepd explain`: the journal, decided again and told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import typer
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from sepd.cli.db import database_url
from sepd.cli.options import AsJson, ConfigFile, print_json
from sepd.domain.time import format_time
from sepd.errors import InputError
from sepd.journal import entries
from sepd.replay import Replay, Replayed, Witness
from sepd.settings import Settings
from sepd.settings_sources import load_settings
from sepd.storage.faults import database_errors
from sepd.storage.journal import Story, journal_runs, read_journal, signal_of, story

Q14 = 16384
Database = Annotated[
    str, typer.Option("--database", help="Another database of that server: sepd_demo.")
]


class Explanation(Struct, frozen=True):
    """How a signal came about, and what became of it."""

    witness: Witness
    story: Story


def replay(
    config: ConfigFile = None,
    as_json: AsJson = False,
    run: Annotated[int, typer.Option(help="Run to replay; default: the newest.")] = 0,
    database: Database = "",
) -> None:
    """Decide again from the journal; exit 1 where a single byte of a decision differs."""
    number, result = asyncio.run(_replay(load_settings(config), database, run))
    if as_json:
        print_json({"run": number, "result": result})
    else:
        agree = "all agree" if not result.differences else f"{len(result.differences)} DIFFER"
        typer.echo(
            f"run {number}: {result.events:,} events, {result.questions:,} questions, "
            f"{result.decisions:,} decisions; {agree}"
        )
    raise typer.Exit(1 if result.differences else 0)


def explain(
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="Of a signal, an intent, an order or a trade.")
    ],
    config: ConfigFile = None,
    as_json: AsJson = False,
    database: Database = "",
) -> None:
    """Tell the story of one signal: inputs, bits, metrics, rule, risk, order, fills."""
    told = asyncio.run(_explain(load_settings(config), database, identifier))
    if as_json:
        print_json(told)
    else:
        for table in _tables(told):
            Console().print(table)


async def _replay(settings: Settings, database: str, run: int) -> tuple[int, Replayed]:
    async with _connected(settings, database) as connection:
        runs = await journal_runs(connection)
        if not runs or (run and run not in runs):
            raise InputError(f"The journal holds no run {run or 'at all'}.")
        number = run or runs[0]
        found = Replay()
        await _feed(found, connection, number)
        return number, found.finish()


async def _explain(settings: Settings, database: str, identifier: str) -> Explanation:
    async with _connected(settings, database) as connection:
        signal_id = await signal_of(connection, identifier)
        if signal_id is None:
            raise InputError(f"{identifier!r} is no signal, intent, order or trade of the store.")
        for number in await journal_runs(connection):
            found = Replay(signal_id)
            await _feed(found, connection, number)
            if found.witness is not None:
                return Explanation(found.witness, await story(connection, signal_id))
    raise InputError(f"The journal does not hold signal {signal_id} (any more).")


async def _feed(found: Replay, connection: asyncpg.Connection, number: int) -> None:
    async with aclosing(read_journal(connection, number)) as records:
        async for record in records:
            found.take(entries([record]))
            if found.witness is not None:
                return


@asynccontextmanager
async def _connected(settings: Settings, database: str) -> AsyncIterator[asyncpg.Connection]:
    async with database_url(settings) as url:
        named = urlunsplit(urlsplit(url)._replace(path=f"/{database}")) if database else url
        with database_errors(named):
            connection = await asyncpg.connect(named, timeout=settings.database.timeout_s)
            try:
                yield connection
            finally:
                await connection.close()


def _tables(told: Explanation) -> list[Table]:
    witness = told.witness
    signal, quote = witness.decision.signal, witness.quote
    head = _table(f"Signal {signal.id}")
    for name, text in (
        ("what", f"{signal.action} {signal.instrument} at {format_time(signal.created_ns)}"),
        ("rule", f"{signal.rule}, confidence {signal.confidence / Q14:.3f}"),
        ("valid until", format_time(signal.valid_until_ns)),
        ("settings", f"{signal.config_version}, sepd {witness.started.version}"),
        ("price", f"bid {quote.bid}, ask {quote.ask} points" if quote else "none"),
        ("verdict", witness.decision.verdict),
        ("risk saw", witness.decision.snapshot or "nothing: an exit is always allowed"),
    ):
        head.add_row(name, text)
    bits = _table("Readings")
    for granularity, text in witness.bits.items():
        bits.add_row(granularity, _metrics(witness, granularity), text[-64:])
    return [
        head,
        bits,
        *(_rows(name, getattr(told.story, name)) for name in told.story.__struct_fields__),
    ]


def _metrics(witness: Witness, granularity: str) -> str:
    reading = witness.readings.get(granularity)
    if reading is None:
        return "no valid reading"
    names = reading.metrics.__struct_fields__
    return ", ".join(f"{name} {getattr(reading.metrics, name) / Q14:+.3f}" for name in names)


def _rows(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title.capitalize(), title_justify="left")
    for name in rows[0] if rows else ("none",):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table


def _table(title: str) -> Table:
    return Table(title=title, show_header=False, title_justify="left")
