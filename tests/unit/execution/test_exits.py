"""A trade can be closed while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from sepd.clock import EventClock
from sepd.domain.order import OrderState
from sepd.execution.executor import Executor, Timing
from sepd.execution.exits import ExitFile, ExitRecord, restore_exits
from sepd.execution.intent import exit_intent
from sepd.execution.reconcile import Difference, recover, watch
from sepd.risk.book import Book
from tests.support.broker import FakeBroker, Fault
from tests.support.gate import held
from tests.support.store import FaultyStore
from tests.support.trading import ACCOUNT, EUR_USD, NOON, PAIRS, make_entry, make_signal

FAST = Timing(quiet_window_s=0.01, grace_s=0.005, retry_s=0.001)


def record(number: int) -> ExitRecord:
    intent = exit_intent(ACCOUNT, f"S{number}", held(number=number), now_ns=NOON, checkpoint=3)
    return ExitRecord(intent, make_signal(number), "{}")


def test_records_are_read_back(tmp_path: Path) -> None:
    exits = ExitFile(tmp_path / "exits.jsonl")
    assert exits.read() == []
    exits.append(record(1))
    exits.append(record(2))
    assert exits.read() == [record(1), record(2)]
    exits.clear()
    exits.clear()
    assert exits.read() == []


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "exits.jsonl"
    exits = ExitFile(path)
    exits.append(record(1))
    whole = path.read_bytes()
    exits.append(record(2))
    for length in range(len(whole), len(path.read_bytes())):
        short = ExitFile(tmp_path / "short.jsonl")
        (tmp_path / "short.jsonl").write_bytes(path.read_bytes()[:length])
        assert short.read() == [record(1)]


async def test_the_database_gets_them_once_whenever_the_crash_was(tmp_path: Path) -> None:
    store, exits = FaultyStore(), ExitFile(tmp_path / "exits.jsonl")
    exits.append(record(1))
    await store.commit_intent(record(1).intent, record(1).signal, b"{}")
    exits.append(record(2))
    names = [record(number).intent.id for number in (1, 2)]
    assert await restore_exits(store, exits) == names
    assert await restore_exits(store, exits) == []
    assert store.state(record(2).intent.id) is OrderState.INTENT


@pytest.mark.parametrize("kept", [True, False])
async def test_an_exit_leaves_without_the_database_and_an_entry_does_not(
    tmp_path: Path, kept: bool
) -> None:
    broker = FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)})
    store, book = FaultyStore(), Book("USD", PAIRS)
    exits = ExitFile(tmp_path / "exits.jsonl")
    await recover(broker, store, exits)
    clock = EventClock(NOON)
    executor = Executor(broker, store, clock, book, timing=FAST, exits=exits if kept else None)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(executor.run())
        await executor.submit(make_entry(make_signal(1)), make_signal(1), b"{}")
        await executor.drain()
        (trade,) = book.trades.values()
        store.commit_faults.extend([True, True, True])
        exit_ = exit_intent(ACCOUNT, "S2", trade, now_ns=NOON, checkpoint=3)
        await executor.submit(exit_, make_signal(2), b"{}")
        await executor.submit(make_entry(make_signal(3)), make_signal(3), b"{}")
        while broker.open_trades:
            await executor.drain()
            await asyncio.sleep(0)
        await executor.drain()
        task.cancel()
    assert [intent.purpose for intent in broker.placed] == ["ENTRY", "EXIT"]
    assert len(exits.read()) == kept
    if kept:
        store.commit_faults.clear()
        recovery = await recover(broker, store, exits)
        assert [order.intent for order in recovery.orders] == [exit_]
        resolved = asyncio.Event()
        again = Executor(
            broker,
            store,
            clock,
            book,
            timing=FAST,
            last_transaction_id=store.last,
            observe=lambda order: resolved.set() if order.state is OrderState.CLOSED else None,
        )
        again.adopt(recovery.orders)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(again.run())
            await resolved.wait()
            await asyncio.sleep(0)
            task.cancel()
        assert store.state(exit_.id) is OrderState.CLOSED
        assert len(broker.placed) == 2


async def test_an_exit_kept_in_the_file_is_settled_when_the_database_is_back(
    tmp_path: Path,
) -> None:
    broker = FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)})
    store, book = FaultyStore(), Book("USD", PAIRS)
    exits = ExitFile(tmp_path / "exits.jsonl")
    await recover(broker, store, exits)
    executor = Executor(broker, store, EventClock(NOON), book, timing=FAST, exits=exits)
    reported: asyncio.Queue[Sequence[Difference]] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(executor.run())
        await executor.submit(make_entry(make_signal(1)), make_signal(1), b"{}")
        await executor.drain()
        (trade,) = book.trades.values()
        store.commit_faults.append(True)
        broker.faults.append(Fault.LOST_REPLY)
        exit_ = exit_intent(ACCOUNT, "S2", trade, now_ns=NOON, checkpoint=3)
        await executor.submit(exit_, make_signal(2), b"{}")
        while broker.open_trades or executor.orders:
            await executor.drain()
            await asyncio.sleep(0)
        assert store.state(exit_.id) is OrderState.NEW
        watching = group.create_task(
            watch(
                broker,
                store,
                executor,
                book,
                every_s=0.01,
                report=reported.put_nowait,
                exits=exits,
            )
        )
        assert await reported.get() == []
        watching.cancel()
        task.cancel()
    assert store.state(exit_.id) is OrderState.CLOSED
    assert exits.read() == []
