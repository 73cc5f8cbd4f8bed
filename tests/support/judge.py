"""The broker's record against the store, from the first row to the last."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import asyncpg

from sepd.execution.reconcile import Remedy, compare
from sepd.storage.audit import verify_audit
from sepd.storage.postgres import PostgresStore
from tests.support.daemon import Daemon
from tests.support.storage import fetch, store_at
from tests.support.venue import client
from tests.support.whole import Whole

OPENING = Decimal(100_000)


def say(**figures: object) -> None:
    """Figures of a run, for `-s`."""
    sys.stdout.write(json.dumps(figures) + "\n")


@contextmanager
def timed() -> Iterator[list[float]]:
    """Seconds that the block took, put into the list."""
    took: list[float] = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    yield took
    took.append(round(loop.time() - began, 2))


async def settle(place: Whole, daemon: Daemon) -> Counter[str]:
    """Close all, end, judge."""
    await daemon.flat()
    assert await daemon.stop() == 0, daemon.tail()
    return await judge(place)


async def judge(whole: Whole) -> Counter[str]:
    """One order an intent, one close a trade, a stop for each; store and broker are equal.

    Returns:
        How many transactions of each type the record holds.
    """
    rows = await whole.record()
    _judge_record(rows)
    await _judge_fills(whole, rows)
    async with client(whole.place.settings()) as broker:
        snapshot = await broker.account()
    store = store_at(whole.database)
    await store.open()
    try:
        await _judge_account(store, whole.place.account, snapshot)
    finally:
        await store.close()
    connection = await asyncpg.connect(whole.database)
    try:
        report = await verify_audit(connection)
    finally:
        await connection.close()
    assert report.ok, report
    assert report.rows
    return Counter(row["type"] for row in rows)


def _judge_record(rows: list[dict[str, Any]]) -> None:
    made = Counter(
        row["clientExtensions"]["id"]
        for row in rows
        if row["type"] == "MARKET_ORDER" and "clientExtensions" in row
    )
    assert set(made.values()) <= {1}, f"an intent became two orders: {made.most_common(3)}"
    fills = [row for row in rows if row["type"] == "ORDER_FILL"]
    opened = [row["tradeOpened"] for row in fills if "tradeOpened" in row]
    named = Counter(trade["clientExtensions"]["id"] for trade in opened)
    assert set(named.values()) <= {1}, f"an intent opened two trades: {named.most_common(3)}"
    closed = Counter(part["tradeID"] for row in fills for part in row.get("tradesClosed", ()))
    assert set(closed.values()) <= {1}, closed.most_common(3)
    protected = {row["tradeID"] for row in rows if row["type"] == "STOP_LOSS_ORDER"}
    assert {trade["tradeID"] for trade in opened} <= protected, "a trade never had a stop"
    _judge_exposure(fills)


def _judge_exposure(fills: list[dict[str, Any]]) -> None:
    """Never two trades of one pair: the limit that the daemons run with."""
    held: dict[str, str] = {}
    for row in fills:
        for part in row.get("tradesClosed", ()):
            del held[part["tradeID"]]
        if "tradeOpened" in row:
            held[row["tradeOpened"]["tradeID"]] = row["instrument"]
        assert len(set(held.values())) == len(held), f"two trades of a pair at {row['id']}: {held}"


async def _judge_fills(whole: Whole, rows: list[dict[str, Any]]) -> None:
    there = [
        (int(row["id"]), Decimal(row["units"]), Decimal(row["pl"]), Decimal(row["accountBalance"]))
        for row in rows
        if row["type"] == "ORDER_FILL"
    ]
    here = await fetch(
        whole.database,
        "SELECT transaction_id, units, pl, balance FROM fills ORDER BY transaction_id",
    )
    assert [tuple(row) for row in here] == there
    ids = await fetch(
        whole.database, "SELECT transaction_id FROM transactions ORDER BY transaction_id"
    )
    assert {row[0] for row in ids} >= {row[0] for row in there}
    double = await fetch(
        whole.database,
        "SELECT intent_id FROM fills JOIN order_intents USING (intent_id)"
        " WHERE purpose = 'ENTRY' AND reason = 'MARKET_ORDER' GROUP BY intent_id"
        " HAVING count(DISTINCT order_id) > 1",
    )
    assert not double


async def _judge_account(store: PostgresStore, account_id: str, snapshot: Any) -> None:
    state = await store.load_state(account_id)
    left = compare(snapshot, state)
    assert not [item for item in left if item.remedy is Remedy.QUARANTINE], left
    totals = await store.totals(account_id)
    assert totals.trading_results_pl == snapshot.balance - OPENING
    assert all(trade.stop_loss is not None for trade in snapshot.trades)
