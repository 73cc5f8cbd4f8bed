"""The memory store and the PostgreSQL store answer alike, whatever happens to them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from sepd.clock import EventClock
from sepd.domain.account import (
    AccountEvent,
    AccountSnapshot,
    BalanceChanged,
    OpenTrade,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OtherTransaction,
    TradeOpen,
    TradeReduce,
)
from sepd.domain.event import MarketEvent
from sepd.domain.market import Candle, Granularity, Quote
from sepd.domain.order import OrderIntent, OrderState, Purpose
from sepd.domain.signal import Action
from sepd.errors import InvariantViolated
from sepd.ports import JournalRecord
from sepd.storage.audit import AuditRow, first_broken
from sepd.storage.embedded import EmbeddedPostgres
from sepd.storage.memory import MemoryStore
from sepd.storage.postgres import PostgresStore
from tests.support.servers import TEMPLATE, execute
from tests.support.trading import ACCOUNT, NOON, PAIRS, S, make_entry, make_signal

NAMES = itertools.count(1)
DAY_NS = 86_400 * S
MONEY = st.decimals(-1000, 1000, places=4)
UNITS = st.sampled_from([Decimal(1), Decimal(400), Decimal(1000)])
STATES = [state for state in OrderState if state is not OrderState.NEW]


def trading_day(time_ns: int) -> str:
    return f"{time_ns // DAY_NS:06}"


class Twins(RuleBasedStateMachine):
    """Each rule does the same to both stores and compares what they say."""

    server: EmbeddedPostgres

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = f"twin_{next(NAMES)}"
        self.clock = EventClock(NOON)
        self.memory = MemoryStore(trading_day=trading_day, clock=self.clock)
        self.intents: list[OrderIntent] = []
        self.trades: dict[int, Decimal] = {}
        self.balance = Decimal(10_000)
        self.transaction_id = 0
        self.seen: list[AccountEvent] = []
        self.late: list[AccountEvent] = []
        self.waiting: list[AccountEvent] = []
        self.together = 1
        self.run(execute(self.server, f"CREATE DATABASE {self.database} TEMPLATE {TEMPLATE}"))
        self.postgres = self.open()

    def run[T](self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.runner.run(wait())

    def open(self) -> PostgresStore:
        store = PostgresStore(
            self.server.url_of(self.database),
            instruments=PAIRS,
            trading_day=trading_day,
            clock=self.clock,
        )
        self.run(store.open())
        return store

    def both(self, name: str, *arguments: object) -> None:
        """Call both; they return the same, or refuse alike."""
        answers = []
        for store in (self.memory, self.postgres):
            try:
                answers.append(self.run(getattr(store, name)(*arguments)))
            except InvariantViolated as error:
                answers.append(str(error))
        assert answers[0] == answers[1], (name, arguments)

    def deliver(self, event: AccountEvent) -> None:
        """Let both apply it, alone or with others that come with it."""
        self.waiting.append(event)
        if len(self.waiting) >= self.together:
            self.apply_waiting()

    def apply_waiting(self) -> None:
        self.both("apply_account_events", ACCOUNT, self.waiting)
        self.seen += self.waiting
        self.waiting = []

    @rule(together=st.integers(1, 6))
    def come_together(self, together: int) -> None:
        self.together = together
        self.apply_waiting()

    def next_id(self) -> int:
        self.transaction_id += 1
        self.clock.advance(self.clock.now_ns() + 7 * 3600 * S)
        return self.transaction_id

    def gain(self, amount: Decimal) -> Decimal:
        self.balance += amount
        return self.balance

    @initialize(reason=st.sampled_from(["", "operator"]), entries=st.integers(0, 2))
    def begin(self, reason: str, entries: int) -> None:
        self.both("record_kill", ACCOUNT, reason)
        for number in range(entries):
            self.commit_entry(number, False, Decimal(1))
        if entries:
            self.open_books(entries)

    @rule(number=st.integers(1, 6), sell=st.booleans(), units=UNITS)
    def commit_entry(self, number: int, sell: bool, units: Decimal) -> None:
        signal = make_signal(number, action=Action.SELL if sell else Action.BUY)
        intent = make_entry(signal, int(units))
        self.both("commit_intent", intent, signal, b'{"risk": 1}')
        self.intents.append(intent)

    @rule(data=st.data())
    def commit_exit(self, data: st.DataObject) -> None:
        if self.trades:
            trade_id = data.draw(st.sampled_from(sorted(self.trades)))
            signal = make_signal(100 + trade_id, action=Action.CLOSE)
            intent = replace(
                make_entry(make_signal(100 + trade_id)),
                purpose=Purpose.EXIT,
                trade_id=trade_id,
                units=-self.trades[trade_id],
            )
            self.both("commit_intent", intent, signal, b"")
            self.intents.append(intent)

    @rule(data=st.data(), state=st.sampled_from(STATES), order_id=st.none() | st.integers(1, 9))
    def record_order_state(
        self, data: st.DataObject, state: OrderState, order_id: int | None
    ) -> None:
        names = ["unheard-of", *(intent.id for intent in self.intents)]
        name = data.draw(st.sampled_from(names))
        self.both("record_order_state", name, state, order_id, "why")

    def name_of(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(["", "foreign", *(i.id for i in self.intents)]))

    @rule(data=st.data(), late=st.booleans())
    def accept(self, data: st.DataObject, late: bool) -> None:
        name = self.name_of(data)
        number = self.next_id()
        event = OrderAccepted(
            number, self.clock.now_ns(), "MARKET", "CLIENT_ORDER", client_order_id=name
        )
        (self.late.append if late else self.deliver)(event)

    @rule(data=st.data(), units=UNITS, late=st.booleans(), commission=st.sampled_from(["0", "0.5"]))
    def fill(self, data: st.DataObject, units: Decimal, late: bool, commission: str) -> None:
        number = self.next_id()
        cost = Decimal(commission)
        self.trades[number] = units
        event = OrderFilled(
            number, self.clock.now_ns(), number - 1, "EUR_USD", units, 110_000, "MARKET_ORDER",
            Decimal(0), Decimal(0), cost, self.gain(-cost), self.name_of(data),
            opened=TradeOpen(number, units, 110_000),
        )  # fmt: skip
        (self.late.append if late else self.deliver)(event)

    @rule(data=st.data(), pl=MONEY, financing=MONEY, part=st.booleans(), price=st.integers(1, 9))
    def reduce(
        self, data: st.DataObject, pl: Decimal, financing: Decimal, part: bool, price: int
    ) -> None:
        if not self.trades:
            return
        trade_id = data.draw(st.sampled_from(sorted(self.trades)))
        held = self.trades[trade_id]
        units = min(held, Decimal(1)) if part and held > 1 else held
        self.trades[trade_id] -= units
        leg = TradeReduce(trade_id, -units, 110_000 + price, pl, financing)
        closed = self.trades[trade_id] == 0
        if closed:
            del self.trades[trade_id]
        number = self.next_id()
        self.deliver(
            OrderFilled(
                number,
                self.clock.now_ns(),
                number - 1,
                "EUR_USD",
                -units,
                110_000,
                "STOP_LOSS",
                pl,
                financing,
                Decimal(0),
                self.gain(pl + financing),
                self.name_of(data),
                reduced=None if closed else leg,
                closed=(leg,) if closed else (),
            )
        )

    @rule(data=st.data(), rejected=st.booleans())
    def end(self, data: st.DataObject, rejected: bool) -> None:
        number, name = self.next_id(), self.name_of(data)
        time_ns = self.clock.now_ns()
        self.deliver(
            OrderRejected(number, time_ns, "MARKET_ORDER_REJECT", "MARKET_HALTED", name)
            if rejected
            else OrderCancelled(number, time_ns, number - 1, "BOUNDS_VIOLATION", name)
        )

    @rule(data=st.data(), amount=MONEY, transfer=st.booleans())
    def charge(self, data: st.DataObject, amount: Decimal, transfer: bool) -> None:
        kind = "TRANSFER_FUNDS" if transfer else "DAILY_FINANCING"
        shared = {} if transfer else dict.fromkeys(sorted(self.trades)[:2], amount)
        total = amount if transfer else sum(shared.values(), Decimal(0))
        number = self.next_id()
        self.deliver(
            BalanceChanged(number, self.clock.now_ns(), kind, total, self.gain(total), shared)
        )

    @rule()
    def other(self) -> None:
        number = self.next_id()
        self.deliver(OtherTransaction(number, self.clock.now_ns(), "CLIENT_CONFIGURE"))

    @rule()
    def deliver_late(self) -> None:
        while self.late:
            self.deliver(self.late.pop())

    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        if self.seen or self.waiting:
            self.deliver(data.draw(st.sampled_from([*self.seen, *self.waiting])))

    @rule(trades=st.integers(0, 2))
    def open_books(self, trades: int) -> None:
        opened = tuple(
            OpenTrade(900 + n, "EUR_USD", Decimal(5), 110_000, NOON, client_trade_id=intent.id)
            for n, intent in enumerate(self.intents[:trades])
        )
        snapshot = AccountSnapshot(
            ACCOUNT, "USD", self.balance, self.balance, Decimal(0), self.balance,
            self.transaction_id, trades=opened,
        )  # fmt: skip
        self.both("record_baseline", ACCOUNT, snapshot)

    @rule(reason=st.sampled_from(["", "operator", "daily loss"]))
    def kill(self, reason: str) -> None:
        self.both("record_kill", ACCOUNT, reason)

    @rule(
        first=st.integers(0, 5),
        count=st.integers(0, 5),
        price=st.integers(1, 10**9),
        source=st.sampled_from(["stream", "broker"]),
        waits=st.booleans(),
    )
    def record_candles(self, first: int, count: int, price: int, source: str, waits: bool) -> None:
        rows: list[tuple[Any, ...]] = [
            ("USD_JPY", Granularity.M5, NOON + n * 300 * S, *range(price, price + 8), n)
            for n in range(first, first + count)
        ]
        candles = [Candle(*row) for row in rows]
        self.both("record_candles", candles, source)
        if waits:
            self.both("flush")

    @rule(number=st.integers(1, 6), verdict=st.sampled_from(["spread_too_wide", "accepted"]))
    def record_signal(self, number: int, verdict: str) -> None:
        self.both("record_signal", make_signal(number), verdict)

    @rule(count=st.integers(0, 3))
    def record_inputs(self, count: int) -> None:
        quotes = [Quote("EUR_USD", NOON + n, 1, 2) for n in range(count)]
        events = [MarketEvent(n, n, quote) for n, quote in enumerate(quotes)]
        self.both("record_events", events)
        self.both("record_journal", JournalRecord("input", NOON, 1, count, b"[]"))

    @rule()
    def restart(self) -> None:
        self.run(self.postgres.close())
        self.postgres = self.open()

    @invariant()
    def same_state(self) -> None:
        self.both("load_state", ACCOUNT)

    async def fetch(self, statement: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.server.url_of(self.database))
        try:
            found: list[asyncpg.Record] = await connection.fetch(statement)
            return found
        finally:
            await connection.close()

    def same_verdicts(self) -> None:
        rows = self.run(self.fetch("SELECT signal_id, verdict FROM signals"))
        assert dict(rows) == {name: told for name, (_, told) in self.memory.signals.items()}

    def same_audit(self) -> None:
        columns = ", ".join(AuditRow.__struct_fields__)
        rows = self.run(self.fetch(f"SELECT {columns} FROM audit_log ORDER BY sequence"))
        assert [AuditRow(*row) for row in rows] == self.memory.audit
        (head,) = self.run(self.fetch("SELECT sequence, hash FROM audit_head"))
        assert tuple(head) == (len(rows), self.memory.audit[-1].hash)
        assert first_broken(self.memory.audit) is None

    def teardown(self) -> None:
        try:
            self.both("flush")
            self.both("totals", ACCOUNT)
            self.both("candles", "USD_JPY", Granularity.M5, NOON, NOON + 1200 * S)
            self.same_verdicts()
            self.same_audit()
        finally:
            self.run(self.postgres.close())
            self.run(execute(self.server, f"DROP DATABASE {self.database} WITH (FORCE)"))
            self.runner.close()


@pytest.mark.timeout(300)
def test_both_stores_answer_alike(postgres_server: EmbeddedPostgres) -> None:
    class OnServer(Twins):
        server = postgres_server

    run_state_machine_as_test(
        OnServer,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
