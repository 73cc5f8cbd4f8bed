"""The demo: embedded servers, the practice venue as a process of its own, and the daemon on it."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
import msgspec
from msgspec import Struct

from sepd.clock import EventClock, SystemClock
from sepd.daemon import open_node, services, stop_on_signals
from sepd.domain.market import Granularity
from sepd.errors import ConfigError, InputError, TransientError
from sepd.market.rows import RejectedRow
from sepd.market.tape import open_tape, sample_path
from sepd.node import Node
from sepd.settings import BrokerSettings, MarketSettings, RuleSettings, Settings
from sepd.storage.faults import database_errors

DATABASE = "sepd_demo"
TICK_BASE = Granularity.M1
TICK_COARSER = (Granularity.M5, Granularity.M15, Granularity.H1)
TICK_RULE = (Granularity.M5, Granularity.M15)
LISTED_ROWS = 100
CONNECT_S = 10.0
VENUE_STOP_S = 10.0
POLL_S = 0.2


class Moment(Struct, frozen=True):
    """How far the demo is: `share` of the tape played, 0 … 1."""

    title: str
    share: float = 0.0
    note: str = ""
    url: str = ""


Watcher = Callable[[Moment], None]


class TapeFacts(Struct, frozen=True):
    """What the demo must know of a tape before it is played."""

    path: Path
    instrument: str
    granularity: Granularity | None
    rows: int
    start_ns: int
    rejected: dict[str, int]
    rejected_rows: list[RejectedRow]


class Summary(Struct, frozen=True):
    """What the run came to. Money is in the account's currency, exact."""

    tape: str
    tape_rows: int
    rows_rejected: dict[str, int]
    rejected_rows: list[RejectedRow]
    quotes_sent: int
    quotes_in: int
    quotes_stored: int
    events_in: int
    candles_in: int
    candles_stored: int
    signals: int
    last_signal: str | None
    orders: int
    filled: int
    refused: dict[str, int]
    open_positions: int
    realised_pl: Decimal
    trading_results_pl: Decimal
    venue_balance_change: Decimal
    events_per_s: float
    elapsed_s: float
    peak_rss_mb: float
    decisions_sha256: str


class Venue:
    """The practice venue's process, as its parent sees it."""

    def __init__(self, process: Process, hello: dict[str, Any]) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{hello['port']}"
        self.token = str(hello["token"])
        self.account = str(hello["account"])

    async def state(self) -> dict[str, Any]:
        """How far the tape is and what the account holds."""
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            async with (
                aiohttp.ClientSession(self.url, headers=headers) as session,
                session.get("/v3/venue/state") as response,
            ):
                found: dict[str, Any] = msgspec.json.decode(await response.read())
                return found
        except aiohttp.ClientError as error:
            raise TransientError(f"The practice venue does not answer: {error}.") from None


async def run_demo(
    settings: Settings, tape: Path | None, speed: str, leave: bool, watcher: Watcher
) -> Summary:
    """Play a tape through the whole node.

    Args:
        settings: the person's; broker, candles and rule are fitted to the tape.
        tape: recorded prices; None takes the EUR/USD sample.
        speed: `max`, or bars per second; on a tape of ticks, recorded seconds per second.
        leave: end with the tape; else stay until told to stop.
        watcher: told how far it is.

    Raises:
        InputError: the tape cannot be played.
        ConfigError: a server does not start, a port is taken, a folder is not writable.
    """
    async with services(settings) as (database, cache):
        watcher(Moment("reading the tape"))
        facts = await asyncio.to_thread(_read_facts, tape or sample_path())
        fitted = _fit(settings, facts)
        own = await _empty_database(database)
        async with (
            _venue(facts, speed, fitted.rule.granularities[0]) as venue,
            open_node(
                _connect(fitted, venue),
                database=own,
                cache=cache,
                clock=EventClock(facts.start_ns),
                paced=True,
            ) as node,
        ):
            return await _play(node, venue, facts, leave, watcher)


async def _play(
    node: Node, venue: Venue, facts: TapeFacts, leave: bool, watcher: Watcher
) -> Summary:
    stop = asyncio.Event()
    opening = Decimal((await venue.state())["balance"])
    timer = SystemClock()
    started_ns = timer.monotonic_ns()
    with stop_on_signals(stop):
        async with asyncio.TaskGroup() as tasks:
            shown = tasks.create_task(_show(venue, node, facts, watcher))
            ending = tasks.create_task(_stop_at_the_end(node, stop, leave))
            await node.run(stop)
            shown.cancel()
            ending.cancel()
    elapsed_s = (timer.monotonic_ns() - started_ns) / 1e9
    return await _summarise(node, venue, facts, opening, elapsed_s)


async def _stop_at_the_end(node: Node, stop: asyncio.Event, leave: bool) -> None:
    await node.tape_ended.wait()
    if leave:
        stop.set()


async def _show(venue: Venue, node: Node, facts: TapeFacts, watcher: Watcher) -> None:
    """Tell the watcher how far the tape is, until cancelled."""
    title = f"{facts.instrument} {facts.granularity or 'ticks'}"
    await node.serving.wait()
    watcher(Moment(title, url=f"http://127.0.0.1:{node.port}"))
    while True:
        state, report = await venue.state(), node.status()
        note = (
            f"{state['tape_time'][:16]}  {report.orders.filled} filled, "
            f"{sum(report.orders.refused.values())} refused, P/L {report.pl.realised}"
        )
        watcher(Moment(title, share=float(state["progress"]), note=note))
        await asyncio.sleep(POLL_S)


async def _summarise(
    node: Node, venue: Venue, facts: TapeFacts, opening: Decimal, elapsed_s: float
) -> Summary:
    state, report, totals = await venue.state(), node.status(), await node.totals()
    return Summary(
        tape=facts.path.name,
        tape_rows=facts.rows,
        rows_rejected=facts.rejected,
        rejected_rows=facts.rejected_rows,
        quotes_sent=int(state["quotes_sent_total"]),
        quotes_in=report.quotes,
        quotes_stored=totals.ticks,
        events_in=report.events,
        candles_in=sum(sum(one.candles.values()) for one in report.instruments.values()),
        candles_stored=totals.candles,
        signals=report.signals.total,
        last_signal=report.signals.last,
        orders=report.orders.total,
        filled=report.orders.filled,
        refused=report.orders.refused,
        open_positions=len(report.positions),
        realised_pl=report.pl.realised,
        trading_results_pl=totals.trading_results_pl,
        venue_balance_change=Decimal(state["balance"]) - opening,
        events_per_s=round(report.events / elapsed_s, 1),
        elapsed_s=round(elapsed_s, 3),
        peak_rss_mb=_peak_rss_mb(),
        decisions_sha256=node.decisions_sha256,
    )


def _peak_rss_mb() -> float:
    """Most memory this program has held, MB.

    proc(5) VmHWM; getrusage(2) would count what our parent held when it started us.
    """
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def _read_facts(path: Path) -> TapeFacts:
    tape = open_tape(path)
    rejected = {str(reason): count for reason, count in tape.rejected.by_reason.items()}
    return TapeFacts(
        path=path,
        instrument=tape.instrument.name,
        granularity=tape.granularity,
        rows=tape.rows,
        start_ns=tape.start_ns,
        rejected=rejected,
        rejected_rows=tape.rejected.listed[:LISTED_ROWS],
    )


def _fit(settings: Settings, facts: TapeFacts) -> Settings:
    """The person's settings on this tape: its instrument, and candles it can be built into."""
    base = facts.granularity or TICK_BASE
    coarser = () if facts.granularity else TICK_COARSER
    rule = (facts.granularity,) if facts.granularity else TICK_RULE
    market = settings.market.model_dump() | {"base": base, "granularities": coarser}
    return settings.model_copy(
        update={
            "mode": "practice",
            "instruments": (facts.instrument,),
            "market": MarketSettings(**market),
            "rule": RuleSettings(**settings.rule.model_dump() | {"granularities": rule}),
        }
    )


def _connect(settings: Settings, venue: Venue) -> Settings:
    broker = settings.broker.model_dump() | {
        "rest_url": venue.url,
        "stream_url": venue.url,
        "api_key": venue.token,
        "account_id": venue.account,
    }
    return settings.model_copy(update={"broker": BrokerSettings(**broker)})


async def _empty_database(url: str) -> str:
    """Address of the demo's own database, made anew on the server of `url`."""
    with database_errors(url):
        admin = await asyncpg.connect(url, timeout=CONNECT_S)
        try:
            await admin.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
            await admin.execute(f"CREATE DATABASE {DATABASE}")
        except asyncpg.InsufficientPrivilegeError:
            raise ConfigError(
                f"The demo may not make its database {DATABASE} there. "
                "Give the user of DATABASE_URL the right CREATEDB."
            ) from None
        finally:
            await admin.close()
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{DATABASE}"))


@asynccontextmanager
async def _venue(facts: TapeFacts, speed: str, lockstep: Granularity) -> AsyncIterator[Venue]:
    """The venue's process; it ends with the context, and with us if we are killed."""
    if speed != "max" and facts.granularity:
        speed = str(float(speed) * facts.granularity.seconds)
    arguments = ["--tape", str(facts.path), "--speed", speed, "--lockstep", lockstep.value]
    arguments += ["--exit-with-parent"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sepd", "venue", *arguments, stdout=PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        hello = await process.stdout.readline()
        if not hello:
            raise InputError("The practice venue did not start; it says above why.")
        yield Venue(process, msgspec.json.decode(hello))
    finally:
        await _stop(process)


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(VENUE_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
