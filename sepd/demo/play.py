"""Plays a tape through the whole node, and tells whoever watches how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from sepd.clock import EventClock, SystemClock
from sepd.daemon import open_node, services, stop_on_signals
from sepd.demo.database import empty_database
from sepd.demo.summary import Summary, summarise
from sepd.demo.tape import TapeFacts, fit, read_facts
from sepd.demo.venue import Venue, open_venue, with_broker
from sepd.market.tape import sample_path
from sepd.node import Node
from sepd.settings import Settings

POLL_S = 0.2


class Moment(Struct, frozen=True):
    """How far the demo is: `share` of the tape played, 0 … 1."""

    title: str
    share: float = 0.0
    note: str = ""
    url: str = ""


Watcher = Callable[[Moment], None]


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
        facts = await asyncio.to_thread(read_facts, tape or sample_path())
        fitted = fit(settings, facts)
        own = await empty_database(database)
        async with (
            open_venue(facts, speed, fitted.rule.granularities[0]) as venue,
            open_node(
                with_broker(fitted, venue),
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
    return await summarise(node, venue, facts, opening, elapsed_s)


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
