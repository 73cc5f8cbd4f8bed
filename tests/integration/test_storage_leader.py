"""Two daemons on one account: one leads, the other stands by, and the past is fenced off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from sepd.clock import EventClock, SystemClock
from sepd.domain.account import AccountSnapshot, OtherTransaction
from sepd.domain.order import OrderState
from sepd.errors import InvariantViolated, TransientError
from sepd.storage.leader import LeaderLock
from sepd.storage.postgres import PostgresStore
from tests.support.trading import ACCOUNT, NOON, PAIRS, make_entry, make_signal
from tests.support.unix_proxy import UnixProxy

NOON_MONEY = Decimal(1_000)
INTENT = make_entry(make_signal(1))
SOCKET = ".s.PGSQL.5432"


def lock_at(url: str, timer: EventClock | None = None, account: str = ACCOUNT) -> LeaderLock:
    return LeaderLock(url, account, timer or SystemClock(), takeover_s=0.05)


@asynccontextmanager
async def store_at(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url, instruments=PAIRS, trading_day=lambda _: "d", clock=EventClock(NOON))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_leadership_has_an_ever_greater_epoch(database_url: str) -> None:
    lock = lock_at(database_url)
    assert lock.fence(INTENT) == "not_leader"
    assert [await lock.acquire() for _ in range(3)] == [1, 2, 3]
    assert lock.fence(INTENT) == ""
    await lock.release()
    assert (lock.fence(INTENT), lock.epoch) == ("not_leader", 0)


async def test_a_second_daemon_stands_by_and_takes_over(database_url: str) -> None:
    first, second = lock_at(database_url), lock_at(database_url)
    await first.acquire()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(second.acquire())
        done, _ = await asyncio.wait([waiting], timeout=0.8)
        assert not done
        assert second.fence(INTENT) == "not_leader"
        await first.release()
    assert waiting.result() == 2
    assert second.fence(INTENT) == ""
    await second.release()


async def test_accounts_do_not_get_in_each_others_way(database_url: str) -> None:
    one, other = lock_at(database_url), lock_at(database_url, account="another")
    assert (await one.acquire(), await other.acquire()) == (1, 1)
    await one.release()
    await other.release()


async def test_a_check_counts_for_half_a_second(database_url: str) -> None:
    timer = EventClock(1)
    lock = lock_at(database_url, timer)
    await lock.acquire()
    timer.advance(500_000_001)
    assert lock.fence(INTENT) == ""
    timer.advance(500_000_002)
    assert lock.fence(INTENT) == "leader_unconfirmed"
    await lock.release()


async def test_a_lost_session_ends_the_leadership(database_url: str, tmp_path: Path) -> None:
    address, _, folder = database_url.partition("?host=")
    async with UnixProxy(tmp_path / SOCKET, Path(folder) / SOCKET) as line:
        lock = lock_at(f"{address}?host={tmp_path}")
        await lock.acquire()
        async with asyncio.TaskGroup() as tasks:
            checking = tasks.create_task(_lost(lock))
            await asyncio.sleep(0)
            line.cut()
        assert isinstance(checking.result(), TransientError)
        assert lock.fence(INTENT) == "not_leader"
        heir = lock_at(database_url)
        assert await heir.acquire() == 2
        await heir.release()


async def _lost(lock: LeaderLock) -> Exception:
    with pytest.raises((TransientError, InvariantViolated)) as caught:
        await lock.run()
    return caught.value


async def test_a_leader_that_hangs_loses_the_lock(database_url: str) -> None:
    hanging, heir = lock_at(database_url), lock_at(database_url)
    await hanging.acquire()
    assert await heir.acquire() == 2  # the server ended the session that was never used again
    assert isinstance(await _lost(hanging), TransientError)
    await heir.release()


async def test_a_followed_leader_cannot_write(database_url: str) -> None:
    signal = make_signal(2)
    async with store_at(database_url) as old, store_at(database_url) as new:
        first, second = lock_at(database_url), lock_at(database_url)
        old.lead(await first.acquire())
        await old.commit_intent(INTENT, make_signal(1), b"risk")
        await first.release()
        new.lead(await second.acquire())
        snapshot = AccountSnapshot(ACCOUNT, "USD", *(NOON_MONEY,) * 4, 0)
        for refused in (
            old.commit_intent(make_entry(signal), signal, b"risk"),
            old.record_order_state(INTENT.id, OrderState.SENT, None, ""),
            old.apply_account_events(ACCOUNT, [OtherTransaction(1, NOON, "X")]),
            old.record_kill(ACCOUNT, "no"),
            old.record_baseline(ACCOUNT, snapshot),
        ):
            with pytest.raises(InvariantViolated, match="epoch 1 is over"):
                await refused
        state = await new.load_state(ACCOUNT)
        assert [(order.intent.id, order.state) for order in state.orders] == [
            (INTENT.id, OrderState.INTENT)
        ]
        assert (state.killed, state.balance, state.last_transaction_id) == ("", None, 0)
        await new.record_order_state(INTENT.id, OrderState.SENT, None, "")
        await second.release()
    connection = await asyncpg.connect(database_url)
    kinds = await connection.fetch("SELECT kind FROM audit_log ORDER BY sequence")
    await connection.close()
    assert [kind for (kind,) in kinds] == ["intent", "order_state"]


async def test_a_leader_that_is_followed_while_it_applies_writes_nothing(
    postgres_line: tuple[UnixProxy, str], database_url: str
) -> None:
    line, url = postgres_line
    first, second = lock_at(database_url), lock_at(database_url)
    async with store_at(url) as old:
        old.lead(await first.acquire())
        await old.apply_account_events(ACCOUNT, [OtherTransaction(1, NOON, "X")])
        await first.release()
        line.meanwhile = second.acquire  # the books are read, and not yet written
        with pytest.raises(InvariantViolated, match="epoch 1 is over"):
            await old.apply_account_events(ACCOUNT, [OtherTransaction(2, NOON, "X")])
        line.meanwhile = None
        assert (await old.load_state(ACCOUNT)).last_transaction_id == 1
        await second.release()
