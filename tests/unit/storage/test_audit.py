"""The audit chain in memory: what is refused leaves no row, what was altered is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from sepd.clock import EventClock
from sepd.domain.account import OtherTransaction
from sepd.domain.order import OrderState
from sepd.errors import InvariantViolated
from sepd.storage.audit import AuditRow, first_broken
from sepd.storage.memory import MemoryStore
from tests.support.trading import ACCOUNT, NOON, make_entry, make_signal

INTENT = make_entry(make_signal(1))


def forge(rows: list[AuditRow], place: int, **changes: object) -> list[AuditRow]:
    return [replace(row, **changes) if row.sequence == place else row for row in rows]


async def filled() -> MemoryStore:
    """A store with one row of every kind."""
    store = MemoryStore(trading_day=lambda _: "d", clock=EventClock(NOON))
    await store.commit_intent(INTENT, make_signal(1), b"risk")
    await store.record_order_state(INTENT.id, OrderState.EXPIRED, None, "expired")
    await store.apply_account_events(ACCOUNT, [OtherTransaction(1, NOON + 5, "X")])
    await store.record_kill(ACCOUNT, "operator")
    return store


async def test_every_write_is_chained_in_order() -> None:
    rows = (await filled()).audit
    assert [(row.sequence, row.time_ns, row.kind) for row in rows] == [
        (1, INTENT.created_ns, "intent"),
        (2, NOON, "order_state"),
        (3, NOON + 5, "transaction"),
        (4, NOON, "kill"),
    ]
    assert {row.account_id for row in rows} == {ACCOUNT}
    assert first_broken(rows) is None


async def test_what_is_refused_leaves_no_row() -> None:
    store = await filled()
    before = list(store.audit)
    with pytest.raises(InvariantViolated, match="exists already"):
        await store.commit_intent(INTENT, make_signal(1), b"risk")
    with pytest.raises(InvariantViolated, match="no order intent"):
        await store.record_order_state("unheard-of", OrderState.SENT, None, "")
    await store.record_order_state(INTENT.id, OrderState.SENT, None, "")
    await store.apply_account_events(ACCOUNT, [OtherTransaction(1, NOON, "X")])
    assert store.audit == before


@pytest.mark.parametrize(
    "alter",
    [
        lambda rows: forge(rows, 2, body=b"x"),
        lambda rows: forge(rows, 2, time_ns=0),
        lambda rows: forge(rows, 2, account_id="another"),
        lambda rows: forge(rows, 2, kind="kill"),
        lambda rows: forge(rows, 2, hash=bytes(32)),
        lambda rows: forge(rows, 2, sequence=99),
        lambda rows: [rows[0], *rows[2:]],
        lambda rows: [rows[0], rows[2], rows[1], rows[3]],
    ],
)
async def test_an_altered_row_is_found(alter: Callable[[list[AuditRow]], list[AuditRow]]) -> None:
    assert first_broken(alter((await filled()).audit)) == 2
