"""Both stores say alike what happened lately, which the limits of pace go on from."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from sepd.clock import EventClock
from sepd.domain.account import AccountSnapshot, OrderFilled, TradeOpen, TradeReduce
from sepd.domain.order import OrderIntent, Purpose
from sepd.ports import Recent, RecentFill, Store
from sepd.risk.day import trading_day
from sepd.storage.memory import MemoryStore
from sepd.storage.postgres import PostgresStore
from tests.support.trading import ACCOUNT, NOON, PAIRS, S, make_entry, make_signal

MINUTE = 60 * S
EMPTY = AccountSnapshot(
    account_id=ACCOUNT,
    currency="USD",
    balance=Decimal(1_000),
    nav=Decimal(1_000),
    margin_used=Decimal(0),
    margin_available=Decimal(1_000),
    last_transaction_id=10,
)


def intent_of(number: int, time_ns: int) -> OrderIntent:
    return make_entry(make_signal(number), now_ns=time_ns)


def fill(number: int, time_ns: int, *, name: str, pair: str, result: int = 0) -> OrderFilled:
    """A fill that opens a trade or, with a result, closes the one opened before it."""
    units = Decimal(-1 if result else 1)
    leg = TradeReduce(number - 1, units, 110_000, Decimal(result))
    return OrderFilled(
        transaction_id=number,
        time_ns=time_ns,
        order_id=number,
        instrument=pair,
        units=units,
        price=110_000,
        reason="MARKET_ORDER",
        pl=Decimal(result),
        financing=Decimal(0),
        commission=Decimal(0),
        balance=Decimal(1_000 + result),
        client_order_id=name,
        opened=None if result else TradeOpen(number, units, 110_000, name),
        closed=(leg,) if result else (),
    )


async def trade(store: Store) -> list[Recent]:
    """What the store says at the start, after an hour's trading, and after a release."""
    said = [(await store.load_state(ACCOUNT)).recent]
    await store.record_baseline(ACCOUNT, EMPTY)
    names = []
    for number, at in enumerate((0, 30, 59, 60), start=1):
        intent = intent_of(number, NOON + at * S)
        names.append(intent.id)
        await store.commit_intent(intent, make_signal(number), b"{}")
    leaving = replace(intent_of(9, NOON + 60 * S), purpose=Purpose.EXIT, trade_id=11)
    await store.commit_intent(leaving, make_signal(9), b"{}")
    for event in (
        fill(11, NOON, name=names[0], pair="EUR_USD"),
        fill(12, NOON + 1, name="", pair="EUR_USD", result=5),
        fill(13, NOON + MINUTE, name=names[1], pair="USD_JPY"),
        fill(14, NOON + 2 * MINUTE, name="", pair="USD_JPY", result=-5),
        fill(15, NOON + 60 * MINUTE, name=names[2], pair="EUR_USD"),
        fill(16, NOON + 61 * MINUTE, name="", pair="EUR_USD", result=-5),
        fill(17, NOON + 120 * MINUTE, name=names[3], pair="EUR_USD"),
        fill(18, NOON + 999 * MINUTE, name="", pair="EUR_USD"),
    ):
        await store.apply_account_events(ACCOUNT, [event])
    said.append((await store.load_state(ACCOUNT)).recent)
    await store.record_kill(ACCOUNT, "operator")
    await store.record_kill(ACCOUNT, "")
    said.append((await store.load_state(ACCOUNT)).recent)
    return said


async def test_both_stores_remember_the_same_of_late(database_url: str) -> None:
    clock = EventClock(NOON)
    memory = MemoryStore(trading_day=trading_day, clock=clock)
    postgres = PostgresStore(database_url, instruments=PAIRS, trading_day=trading_day, clock=clock)
    await postgres.open()
    try:
        said = await trade(postgres)
    finally:
        await postgres.close()
    lately = Recent(
        sent_ns=(NOON + 30 * S, NOON + 59 * S, NOON + 60 * S),
        fills=(
            RecentFill(13, "USD_JPY", NOON + MINUTE),
            RecentFill(15, "EUR_USD", NOON + 60 * MINUTE),
            RecentFill(17, "EUR_USD", NOON + 120 * MINUTE),
        ),
        loss_streak=2,
        last_loss_ns=NOON + 61 * MINUTE,
    )
    assert said == [Recent(), lately, replace(lately, released=18)]
    assert await trade(memory) == said
