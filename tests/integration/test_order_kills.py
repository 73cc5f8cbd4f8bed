"""SIGKILL at every step of the order path, on real processes, PostgreSQL and the venue.

A process trades a plan, is killed at a failpoint, and is started again until the plan is through.
Whenever a process ended, every open trade has a stop at the broker. Then the broker's record is
read from its beginning: no intent became two orders, store and broker agree to the last digit, and
the audit chain is whole and holds every transaction once. `SEPD_KILLS=N` kills N times at every
failpoint, every other time at its second pass where there is one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from msgspec import Struct

from sepd.broker.oanda import OandaBroker
from sepd.clock import SystemClock
from sepd.domain.account import AccountEvent, OrderAccepted, OrderFilled
from sepd.execution.failpoints import NAMES
from sepd.execution.reconcile import Remedy, compare
from sepd.risk.day import trading_day
from sepd.storage.audit import verify_audit
from sepd.storage.postgres import PostgresStore
from tests.support.order_process import Where
from tests.support.trading import NOON, S
from tests.support.venue import Venue, client, venue, write_ticks

pytest_plugins = ["tests.support.servers"]

ROUNDS = int(os.environ.get("SEPD_KILLS", "0"))
PLACES = tuple(filter(None, os.environ.get("SEPD_KILL_AT", "").split(","))) or NAMES
SOME = ("commit.before", "commit.after", "send.after", "apply.stored", "recover.applied")
PRELUDE = {
    "recover.applied": "send.after",
    "exits.committed": "commit.kept",
    "exits.cleared": "commit.kept",
}


class Life(Struct):
    """One life of the trading process."""

    code: int
    said: list[dict[str, Any]]

    @property
    def killed(self) -> bool:
        """Whether the failpoint ended it."""
        return self.code == -signal.SIGKILL


class Bench(Struct):
    """Where everything is, and what was measured."""

    where: Where
    place: Venue
    broker: OandaBroker
    store: PostgresStore
    ready_s: list[float] = []
    resolved_s: list[float] = []
    killed: Counter[str] = msgspec.field(default_factory=Counter)
    held: int = 0

    async def live(self, run: str, failpoint: str = "") -> Life:
        """Start the process and wait for its end, which must come in time and leave no trade
        without a stop.
        """
        where = msgspec.structs.replace(self.where, run=run)
        environ = {name: text for name, text in os.environ.items() if name != "SEPD_FAILPOINT"}
        if failpoint:
            environ["SEPD_FAILPOINT"] = failpoint
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.support.order_process", msgspec.json.encode(where).decode()),
            env=environ,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(30):
            output = await process.stdout.read()
            code = await process.wait()
        said = [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]
        self.ready_s += [line["ready_s"] for line in said if "ready_s" in line]
        self.resolved_s += [line["resolved_s"] for line in said if "resolved_s" in line]
        held = (await self.broker.account()).trades
        self.held += len(held)
        assert all(trade.stop_loss is not None for trade in held), "a trade has no stop"
        return Life(code, said)

    async def survive(self, run: str, failpoint: str) -> bool:
        """Kill at `failpoint`, let the next life finish the plan; False if it was not reached.

        Some places are reached only by a process that finds what another one left.
        """
        name = failpoint.partition(":")[0]
        if name in PRELUDE:
            assert (await self.live(run, PRELUDE[name])).killed
        for _ in range(2):
            life = await self.live(run, failpoint)
            if life.killed:
                break
            assert life.code == 0, f"{failpoint}: exit code {life.code}"
        self.killed[name] += life.killed
        last = await self.live(run)
        assert last.code == 0, f"after {failpoint}: exit code {last.code}"
        assert last.said[-1].get("done"), failpoint
        return life.killed

    async def judge(self) -> None:
        """Read the broker's record from its beginning and compare it with the store."""
        rows = await self.broker.transactions_since(0)
        snapshot = await self.broker.account()
        made = Counter(
            row.client_order_id
            for row in rows
            if isinstance(row, OrderAccepted) and row.client_order_id
        )
        assert set(made.values()) == {1}, "an intent became two orders"
        entries = Counter(
            row.opened.client_trade_id
            for row in rows
            if isinstance(row, OrderFilled) and row.opened
        )
        assert set(entries.values()) == {1}, "an intent opened two trades"
        state = await self.store.load_state(self.place.account)
        left = compare(snapshot, state)
        assert not [item for item in left if item.remedy is Remedy.QUARANTINE]
        assert not snapshot.trades
        totals = await self.store.totals(self.place.account)
        assert totals.trading_results_pl == snapshot.balance - Decimal(100_000)
        await self.judge_tables(rows)

    async def judge_tables(self, rows: Sequence[AccountEvent]) -> None:
        """The audit chain is whole, and holds every transaction applied once, in their order; the
        signal of every intent is among those accepted.
        """
        connection = await asyncpg.connect(self.where.database)
        bereft = await connection.fetch(
            "SELECT signal_id FROM order_intents EXCEPT "
            "SELECT signal_id FROM signals WHERE verdict = 'accepted'"
        )
        assert not bereft, "a signal was lost"
        report = await verify_audit(connection)
        audited = await connection.fetch(
            "SELECT body FROM audit_log WHERE kind = 'transaction' ORDER BY sequence"
        )
        await connection.close()
        assert report.ok, f"the audit chain is broken at row {report.first_bad}"
        ids = [msgspec.json.decode(row["body"])["transaction_id"] for row in audited]
        assert ids == [row.transaction_id for row in rows if row.transaction_id >= ids[0]]


@pytest.fixture
async def bench(tmp_path: Path, database_url: str) -> AsyncIterator[Bench]:
    tape = write_ticks(
        tmp_path / "EUR_USD.tick.csv",
        [(NOON, "1.10000", "1.10010"), (NOON + S, "1.10000", "1.10010")],
    )
    async with venue("--tape", str(tape), "--speed", "step") as place:
        await place.advance(1)
        settings = place.settings()
        where = Where(
            database=database_url,
            settings=settings.model_dump(mode="json", exclude={"api_key"}),
            api_key=settings.api_key.get_secret_value(),
            exits=str(tmp_path / "exits.jsonl"),
            run="",
        )
        async with client(settings) as broker:
            store = PostgresStore(
                database_url,
                instruments=await broker.instruments(),
                trading_day=trading_day,
                clock=SystemClock(),
            )
            await store.open()
            yield Bench(where, place, broker, store)
            await store.close()


async def test_the_plan_goes_through_undisturbed(bench: Bench) -> None:
    life = await bench.live("plain")
    assert life.code == 0
    assert life.said[-1]["done"]
    await bench.judge()


@pytest.mark.timeout(120)
async def test_a_kill_on_the_order_path_loses_and_doubles_nothing(bench: Bench) -> None:
    for name in SOME:
        assert await bench.survive(name, name), f"{name} was not reached"
    assert bench.held, "nothing was held when a process ended"
    await bench.judge()


@pytest.mark.slow
@pytest.mark.skipif(not ROUNDS, reason="SEPD_KILLS=N kills N times at every failpoint")
@pytest.mark.timeout(7_200)
async def test_a_kill_anywhere_loses_and_doubles_nothing(bench: Bench) -> None:
    missed = set()
    for round_ in range(ROUNDS):
        for name in PLACES:
            run = f"{round_}-{name}"
            later = round_ % 2 and await bench.survive(f"{run}-2", f"{name}:2")
            if not later and not await bench.survive(run, name):
                missed.add(name)
        await bench.judge()
    figures = {
        "kills": bench.killed.total(),
        "failpoints": sum(count > 0 for count in bench.killed.values()),
        "ready_s_max": round(max(bench.ready_s), 3),
        "ready_s_median": round(statistics.median(bench.ready_s), 3),
        "trades_held_at_an_end": bench.held,
        "resolved_s_max": round(max(bench.resolved_s), 3),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    assert not missed
