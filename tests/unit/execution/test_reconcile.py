"""Every way in which broker and store can differ is found, and stops entries until it is gone."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from sepd.domain.account import AccountSnapshot, OpenTrade, OtherTransaction, PendingOrder
from sepd.domain.order import OrderState
from sepd.errors import TransientError
from sepd.execution.reconcile import Difference, Kind, Remedy, compare, quarantine, recover
from sepd.ports import StoredOrder, StoredPosition, StoredState
from sepd.risk.reason import Reason
from tests.support.broker import FakeBroker
from tests.support.gate import make_book, verdict
from tests.support.store import FaultyStore
from tests.support.trading import EUR_USD, NOON, make_entry, make_signal

INTENT = make_entry(make_signal())
TRADE = OpenTrade(
    5, "EUR_USD", Decimal(1_000), 110_000, NOON, stop_loss=109_700, client_trade_id=INTENT.id
)
STOP = PendingOrder(6, "STOP_LOSS", trade_id=5)
THERE = AccountSnapshot(
    account_id="a",
    currency="USD",
    balance=Decimal("100000.00"),
    nav=Decimal(100_000),
    margin_used=Decimal(0),
    margin_available=Decimal(0),
    last_transaction_id=6,
    trades=(TRADE,),
    orders=(STOP,),
)
POSITION = StoredPosition(5, INTENT.id, "S1", "EUR_USD", Decimal(1_000), 110_000, NOON)
HERE = StoredState(6, positions=(POSITION,), balance=Decimal(100_000))


def stored(state: OrderState) -> StoredOrder:
    return StoredOrder(INTENT, state)


def kinds(there: AccountSnapshot, here: StoredState) -> list[tuple[Kind, Remedy]]:
    return [(item.kind, item.remedy) for item in compare(there, here)]


def test_equal_accounts_have_no_difference() -> None:
    assert compare(THERE, HERE) == []


@pytest.mark.parametrize(
    ("there", "here", "kind"),
    [
        (replace(THERE, last_transaction_id=7), HERE, Kind.BEHIND),
        (replace(THERE, balance=Decimal("100000.01")), HERE, Kind.BALANCE),
        (THERE, replace(HERE, positions=()), Kind.FOREIGN_TRADE),
        (replace(THERE, trades=(), orders=()), HERE, Kind.MISSING_TRADE),
        (replace(THERE, trades=(replace(TRADE, units=Decimal(999)),)), HERE, Kind.UNITS),
        (replace(THERE, trades=(replace(TRADE, price=110_001),)), HERE, Kind.PRICE),
        (replace(THERE, trades=(replace(TRADE, stop_loss=None),)), HERE, Kind.UNPROTECTED),
        (replace(THERE, orders=(STOP, PendingOrder(7, "LIMIT"))), HERE, Kind.FOREIGN_ORDER),
        (
            replace(THERE, orders=(STOP, PendingOrder(7, "STOP_LOSS", trade_id=99))),
            HERE,
            Kind.FOREIGN_ORDER,
        ),
        (THERE, replace(HERE, orders=(stored(OrderState.ACK),)), Kind.VANISHED_ORDER),
    ],
)
def test_each_difference_is_named_and_quarantined(
    there: AccountSnapshot, here: StoredState, kind: Kind
) -> None:
    assert kinds(there, here) == [(kind, Remedy.QUARANTINE)]


def test_differences_that_explain_themselves() -> None:
    assert kinds(THERE, replace(HERE, balance=None)) == [(Kind.FIRST_BALANCE, Remedy.ADOPT)]
    doubtful = replace(HERE, orders=(stored(OrderState.UNKNOWN),))
    assert kinds(THERE, doubtful) == [(Kind.UNDECIDED_ORDER, Remedy.EXPLAIN)]


def test_a_difference_blocks_its_pair_until_it_is_gone() -> None:
    book = make_book()
    found = compare(replace(THERE, trades=(replace(TRADE, price=1),)), HERE)
    quarantine(book, found)
    assert verdict(book) is Reason.INSTRUMENT_BLOCKED
    quarantine(book, [], before=found)
    assert verdict(book) is Reason.ACCEPTED


def test_a_difference_of_money_blocks_every_pair() -> None:
    book = make_book()
    found = compare(replace(THERE, balance=Decimal(1)), HERE)
    quarantine(book, found)
    assert verdict(book) is Reason.RECONCILING
    quarantine(book, [], before=found)
    assert verdict(book) is Reason.ACCEPTED


async def test_the_first_start_opens_the_books_where_the_account_stands() -> None:
    broker, store = FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)}), FaultyStore()
    broker.execute(make_entry(make_signal()))
    recovery = await recover(broker, store)
    assert recovery.state.last_transaction_id == len(broker.rows) == 3
    assert [item.kind for item in recovery.differences] == [Kind.FOREIGN_TRADE]


async def test_a_start_applies_what_was_missed() -> None:
    broker, store = FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)}), FaultyStore()
    await recover(broker, store)
    intent = make_entry(make_signal())
    await store.commit_intent(intent, make_signal(), b"")
    broker.execute(intent)
    broker.hit_stop(2)
    recovery = await recover(broker, store)
    assert recovery.differences == ()
    assert recovery.orders == ()
    assert store.state(intent.id) is OrderState.CLOSED
    assert recovery.state.balance == broker.balance


async def test_recovery_repeated_is_recovery() -> None:
    broker, store = FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)}), FaultyStore()
    await recover(broker, store)
    broker.rows.append(OtherTransaction(1, NOON, "CLIENT_CONFIGURE"))
    store.apply_faults.append(True)
    with pytest.raises(TransientError):
        await recover(broker, store)
    assert (await recover(broker, store)) == (await recover(broker, store))


async def test_an_account_that_hides_its_transactions_is_not_started_on() -> None:
    broker, store = FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)}), FaultyStore()
    await recover(broker, store)
    broker.execute(make_entry(make_signal()))
    broker.hidden_scans = 1_000
    with pytest.raises(TransientError, match="stands at transaction 0 and the broker at 3"):
        await recover(broker, store)


async def test_what_was_on_its_way_is_handed_over() -> None:
    broker, store = FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)}), FaultyStore()
    await recover(broker, store)
    await store.commit_intent(INTENT, make_signal(), b"")
    recovery = await recover(broker, store)
    (order,) = recovery.orders
    assert (order.intent, order.state) == (INTENT, OrderState.INTENT)
    assert recovery.differences == (
        Difference(
            Kind.UNDECIDED_ORDER,
            Remedy.EXPLAIN,
            "EUR_USD",
            f"order {INTENT.id}",
            "none",
            "INTENT",
        ),
    )
