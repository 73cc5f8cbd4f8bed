"""The store when its line is cut, its server killed or frozen: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import re
import signal
from decimal import Decimal
from itertools import batched
from pathlib import Path

import asyncpg
import msgspec
import psutil
import pytest

from sepd.domain.account import BalanceChanged, OrderFilled, TradeOpen
from sepd.domain.order import OrderState
from sepd.errors import InvariantViolated, TransientError
from sepd.storage.audit import verify_audit
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.migrate import migrate
from sepd.storage.postgres import PostgresStore
from tests.support.storage import candle, fetch, kill, processes, quotes, store_at
from tests.support.trading import ACCOUNT, NOON, make_entry, make_signal
from tests.support.unix_proxy import UnixProxy

APPLIED = "SELECT FROM audit_log WHERE kind = 'transaction'"


def fee(number: int) -> BalanceChanged:
    """A fee of 1, the transaction of this number, out of 100."""
    return BalanceChanged(number, NOON, "FEE", Decimal(-1), Decimal(100 - number))


def entry_of(name: str) -> OrderFilled:
    """Transaction 1: the order is filled and opens trade 1."""
    return OrderFilled(
        1, NOON, 1, "EUR_USD", Decimal(1000), 110_000, "MARKET_ORDER", Decimal(0), Decimal(0),
        Decimal(0), Decimal(50_000), name, opened=TradeOpen(1, Decimal(1000), 110_000),
    )  # fmt: skip


async def rows_of_chain(url: str) -> int:
    """Rows of the audit log, whose chain is whole."""
    connection = await asyncpg.connect(url)
    report = await verify_audit(connection)
    await connection.close()
    assert report.ok
    return report.rows


async def test_a_lost_answer_to_a_batch_doubles_nothing(
    postgres_line: tuple[UnixProxy, str],
) -> None:
    line, url = postgres_line
    store = store_at(url)
    await store.open()
    await store.record_events(quotes(0, 100))
    line.lose_reply_to = b"COMMIT"
    with pytest.raises(TransientError):
        await store.flush()
    assert store.fault
    await store.flush()
    assert (line.lost, store.fault) == (1, "")
    assert (await store.totals(ACCOUNT)).ticks == 100
    await store.close()


async def test_the_writer_goes_on_by_itself_after_cuts(
    postgres_line: tuple[UnixProxy, str],
) -> None:
    line, url = postgres_line
    store = store_at(url)
    await store.open()
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(store.run())
        for first in range(0, 5_000, 100):
            await store.record_events(quotes(first, 100))
            await store.record_candles([candle(first)], "tape")
            if first % 500 == 0:
                line.cut()
            await asyncio.sleep(0)
        await store.flush()
        writer.cancel()
    totals = await store.totals(ACCOUNT)
    assert (totals.ticks, totals.candles) == (5_000, 50)
    await store.close()


async def test_a_lost_answer_to_an_intent_is_looked_up(
    postgres_line: tuple[UnixProxy, str],
) -> None:
    line, url = postgres_line
    store = store_at(url)
    await store.open()
    signal_, other = make_signal(1), make_signal(2)
    await store.commit_intent(make_entry(signal_), signal_, b"risk")
    line.lose_reply_to = make_entry(other).id.encode()
    await store.commit_intent(make_entry(other), other, b"risk")
    assert line.lost == 1
    assert len((await store.load_state(ACCOUNT)).orders) == 2
    with pytest.raises(InvariantViolated, match="exists already"):
        await store.commit_intent(make_entry(other), other, b"risk")
    await store.close()


async def test_a_write_that_is_cancelled_while_the_line_breaks_is_cancelled(
    postgres_line: tuple[UnixProxy, str],
) -> None:
    line, url = postgres_line
    store = store_at(url)
    await store.open()
    signal_ = make_signal(1)
    intent = make_entry(signal_)
    await store.commit_intent(intent, signal_, b"risk")
    await store.flush()
    line.hold_reply_to = re.compile(intent.id.encode())
    async with asyncio.TaskGroup() as tasks:
        record = store.record_order_state(intent.id, OrderState.EXPIRED, None, "expired")
        writing = tasks.create_task(record)
        await line.held
        writing.cancel()
        await asyncio.sleep(0)
        line.cut()
        await asyncio.wait([writing])
    assert writing.cancelled()
    await store.close()


async def test_a_batch_is_applied_wholly_or_not_at_all(
    postgres_line: tuple[UnixProxy, str], database_url: str
) -> None:
    line, url = postgres_line
    store = store_at(url)
    await store.open()
    signal_ = make_signal(1)
    intent = make_entry(signal_)
    await store.commit_intent(intent, signal_, b"risk")
    fill = entry_of(intent.id)
    unknown = msgspec.structs.replace(fill, transaction_id=3, instrument="XAU_XAG")
    with pytest.raises(InvariantViolated, match="precision of XAU_XAG"):
        await store.apply_account_events(ACCOUNT, [fill, fee(2), unknown])
    for question in (b"LEFT JOIN account_state AS books", b"INSERT INTO transactions"):
        line.lose_reply_to = question  # the statement is read, or prepared, and not yet carried out
        with pytest.raises(TransientError):
            await store.apply_account_events(ACCOUNT, [fill, fee(2)])
        state = await store.load_state(ACCOUNT)
        assert (state.balance, state.positions, state.last_transaction_id) == (None, (), 0)
        assert await fetch(database_url, APPLIED) == []

    line.lose_reply_to = b'"FEE"'  # it is committed, and nobody tells us
    with pytest.raises(TransientError):
        await store.apply_account_events(ACCOUNT, [fill, fee(2)])
    assert await store.apply_account_events(ACCOUNT, [fill, fee(2)]) == ()
    state = await store.load_state(ACCOUNT)
    assert (state.balance, state.last_transaction_id) == (Decimal(98), 2)
    assert [position.trade_id for position in state.positions] == [1]
    assert len(await fetch(database_url, APPLIED)) == 2
    assert line.lost == 3
    await store.close()


async def test_orders_kills_and_transactions_do_not_undo_each_other(
    postgres_store: PostgresStore, database_url: str
) -> None:
    other = store_at(database_url)
    await other.open()
    applied: list[int] = []

    async def send() -> None:
        for number in range(40):
            signal_ = make_signal(number)
            intent = make_entry(signal_)
            await postgres_store.commit_intent(intent, signal_, b"risk")
            await postgres_store.record_order_state(intent.id, OrderState.UNKNOWN, None, "")

    async def follow(store: PostgresStore, together: int) -> None:
        for events in batched((fee(number) for number in range(1, 41)), together):
            applied.extend(await store.apply_account_events(ACCOUNT, events))

    async def kill_switch() -> None:
        for number in range(40):
            await postgres_store.record_kill(ACCOUNT, f"reason {number}")

    async with asyncio.TaskGroup() as tasks:
        for work in (send(), follow(postgres_store, 1), follow(other, 3), kill_switch()):
            tasks.create_task(work)
    state = await postgres_store.load_state(ACCOUNT)
    assert (state.killed, state.balance, len(state.orders)) == ("reason 39", Decimal(60), 40)
    assert (sorted(applied), state.last_transaction_id) == ([*range(1, 41)], 40)
    await other.close()
    assert await rows_of_chain(database_url) == 40 + 40 + 40 + 40


async def test_an_order_that_moves_while_a_fill_is_applied_is_read_again(
    postgres_store: PostgresStore, database_url: str
) -> None:
    signal_ = make_signal(1)
    intent = make_entry(signal_)
    await postgres_store.commit_intent(intent, signal_, b"risk")
    rest = msgspec.structs.replace(entry_of(intent.id), units=Decimal(600))
    connection = await asyncpg.connect(database_url)
    async with asyncio.TaskGroup() as tasks:
        async with connection.transaction():
            await connection.execute("UPDATE orders SET filled = 400")
            applying = tasks.create_task(postgres_store.apply_account_events(ACCOUNT, [rest]))
            while not await fetch(database_url, "SELECT FROM pg_locks WHERE NOT granted"):
                pass
        assert await applying == (1,)
    await connection.close()
    ((filled, state),) = await fetch(database_url, "SELECT filled, state FROM orders")
    assert (filled, state) == (1000, "FILLED")


async def test_a_client_that_freezes_holds_no_lock(
    postgres_line: tuple[UnixProxy, str], database_url: str
) -> None:
    line, url = postgres_line
    frozen, other = store_at(url), store_at(database_url, timeout_s=1.0)
    await frozen.open()
    await other.open()
    committed = 0

    async def meanwhile() -> None:
        nonlocal committed
        committed += 1
        signal_ = make_signal(committed)
        await other.commit_intent(make_entry(signal_), signal_, b"risk")

    line.meanwhile = meanwhile
    signal_ = make_signal(1_000)
    await frozen.commit_intent(make_entry(signal_), signal_, b"risk")
    await frozen.record_order_state(make_entry(signal_).id, OrderState.UNKNOWN, None, "")
    await frozen.apply_account_events(ACCOUNT, [fee(1), fee(2)])
    await frozen.record_kill(ACCOUNT, "operator")
    assert committed > 4
    await frozen.close()
    await other.close()
    assert await rows_of_chain(database_url) == committed + 5


async def test_all_that_was_acknowledged_survives_a_killed_server(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path) as server:
        await migrate(server.url)
        store = store_at(server.url)
        await store.open()
        for number in range(20):
            signal_ = make_signal(number)
            await store.commit_intent(make_entry(signal_), signal_, b"risk")
        await store.record_events(quotes(0, 100))
        await store.flush()
        await kill(server)
        with pytest.raises(TransientError):
            await store.commit_intent(make_entry(make_signal(99)), make_signal(99), b"risk")
        await store.close()
    async with EmbeddedPostgres(tmp_path) as server:
        store = store_at(server.url)
        await store.open()
        totals = await store.totals(ACCOUNT)
        assert (totals.intents, totals.ticks) == (20, 100)
        await store.close()


async def test_a_frozen_server_is_a_fault_within_the_deadline(
    own_postgres: EmbeddedPostgres,
) -> None:
    store = store_at(own_postgres.url, timeout_s=0.3)
    await store.open()
    held = processes(own_postgres)
    for process in held:
        process.suspend()
    try:
        with pytest.raises(TransientError, match="did not answer in time"):
            await store.commit_intent(make_entry(make_signal(1)), make_signal(1), b"risk")
        with pytest.raises(TransientError, match="did not answer in time"):
            await store.load_state(ACCOUNT)
        await store.record_events(quotes(0, 1))
        with pytest.raises(TransientError, match="did not answer in time"):
            await store.flush()
        assert store.fault
    finally:
        for process in held:
            process.resume()
    await store.flush()
    assert store.fault == ""
    assert (await store.totals(ACCOUNT)).ticks == 1
    await store.close()


async def test_rows_that_cannot_be_written_at_the_end_are_counted(
    own_postgres: EmbeddedPostgres,
) -> None:
    store = store_at(own_postgres.url, timeout_s=0.5)
    await store.open()
    await store.record_events(quotes(0, 7))
    psutil.Process(own_postgres.pid).send_signal(signal.SIGQUIT)
    with pytest.raises(TransientError, match="7 rows could not be written"):
        await store.close()
