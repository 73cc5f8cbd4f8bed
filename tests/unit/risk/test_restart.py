"""A book that starts from the store paces and latches as the one before it did."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sepd.clock import EventClock
from sepd.domain.account import AccountSnapshot, OrderFilled, TradeOpen, TradeReduce
from sepd.domain.order import OrderIntent
from sepd.execution.intent import entry_intent
from sepd.ports import Recent, RecentFill, StoredState
from sepd.risk.book import HOUR_NS, REPEATED, Book
from sepd.risk.day import trading_day
from sepd.risk.reason import Reason
from sepd.storage.memory import MemoryStore
from tests.support.gate import INSTRUMENTS, account, limits, make_book, verdict
from tests.support.trading import ACCOUNT, NOON, S, make_entry, make_signal

ZERO = Decimal(0)
MINUTE_NS = 60 * S
LIMITS = limits(max_fills_per_hour=3, max_loss_streak=2, max_orders_per_minute=3)


def restored(recent: Recent, now_ns: int = NOON, **state: object) -> Book:
    """A book with fresh quotes, started from a store that holds `recent`."""
    book = make_book(rules=LIMITS, quoted_ns=now_ns)
    fields = {"last_transaction_id": 10, "recent": recent, **state}
    book.restore(account(Decimal(100_000)), msgspec.convert(fields, StoredState), now_ns)
    return book


def test_a_restart_does_not_end_the_pause_after_losses() -> None:
    rules = limits(max_loss_streak=2, cool_down_s=600)
    for losses, ago_s, expected in (
        (2, 599, Reason.LOSS_STREAK),
        (2, 600, Reason.ACCEPTED),
        (1, 1, Reason.ACCEPTED),
    ):
        book = restored(Recent(loss_streak=losses, last_loss_ns=NOON - ago_s * S))
        assert verdict(book, rules) is expected


def test_a_restart_does_not_end_the_minute() -> None:
    sent = (NOON - 59 * S, NOON - 58 * S, NOON - 57 * S)
    assert verdict(restored(Recent(sent_ns=sent))) is Reason.THROTTLED
    assert verdict(restored(Recent(sent_ns=sent[1:]))) is Reason.ACCEPTED


def test_an_entry_that_is_taken_over_is_not_counted_twice() -> None:
    intent = make_entry(make_signal(9))
    book = restored(
        Recent(sent_ns=(NOON - 1, NOON)), orders=[{"intent": intent, "state": "UNKNOWN"}]
    )
    book.reserve(intent)
    book.release(intent.id)
    assert verdict(book) is Reason.ACCEPTED


def test_an_old_entry_that_turns_up_hides_no_newer_one() -> None:
    book = restored(Recent(sent_ns=(NOON - 2, NOON - 1, NOON)))
    old = msgspec.structs.replace(make_entry(make_signal(9)), created_ns=NOON - HOUR_NS)
    book.reserve(old)
    book.release(old.id)
    assert verdict(book) is Reason.THROTTLED


def test_a_restart_does_not_release_a_latch_however_late() -> None:
    fills = tuple(RecentFill(11 + n, "EUR_USD", NOON - n) for n in (3, 2, 1, 0))
    for later_ns in (0, HOUR_NS, 1_000 * HOUR_NS):
        now_ns = NOON + later_ns
        assert restored(Recent(fills=fills), now_ns).blocked["EUR_USD"] == {REPEATED}
    assert verdict(restored(Recent(fills=fills))) is Reason.REPEATED_EXECUTION
    assert verdict(restored(Recent(fills=fills[1:]))) is Reason.ACCEPTED


def test_a_latch_holds_although_one_more_fill_came_late() -> None:
    clustered = (0, 1, HOUR_NS - 1, HOUR_NS - 1, HOUR_NS + 5 * S)
    fills = tuple(RecentFill(11 + n, "EUR_USD", NOON + at) for n, at in enumerate(clustered))
    assert restored(Recent(fills=fills)).blocked["EUR_USD"] == {REPEATED}


def test_what_the_operator_released_stays_released_until_the_next_fill() -> None:
    fills = tuple(RecentFill(11 + n, "EUR_USD", NOON + n) for n in range(4))
    assert verdict(restored(Recent(fills=fills, released=14))) is Reason.ACCEPTED
    assert verdict(restored(Recent(fills=fills, released=13))) is Reason.REPEATED_EXECUTION


class Lives(RuleBasedStateMachine):
    """One book lives on; another is started from the store after every step."""

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.store = MemoryStore(trading_day=trading_day, clock=EventClock(NOON))
        self.lived = Book("GBP", INSTRUMENTS, LIMITS)
        self.lived.restore(account(Decimal(100_000)), StoredState(0), NOON)
        self.lived.last_transaction_id = 0
        self.now_ns = NOON
        self.number = 0
        self.waiting: list[OrderIntent] = []
        self.runner.run(self.store.record_baseline(ACCOUNT, self.snapshot()))

    def snapshot(self) -> AccountSnapshot:
        return msgspec.structs.replace(account(Decimal(100_000)), last_transaction_id=0)

    @rule(seconds=st.sampled_from([0, 1, 20, 59, 60, 600, 1_200, 3_599]))
    def wait(self, seconds: int) -> None:
        self.now_ns += seconds * S

    @rule(name=st.sampled_from(["EUR_USD", "EUR_USD", "USD_CHF"]))
    def enter(self, name: str) -> None:
        if REPEATED in self.lived.blocked.get(name, ()):
            return
        self.number += 1
        signal = make_signal(self.number, name, created_ns=self.now_ns)
        intent = entry_intent(
            ACCOUNT,
            signal,
            units=Decimal(1_000),
            price_bound=110_050,
            stop_loss=109_700,
            take_profit=110_450,
            now_ns=self.now_ns,
            checkpoint=self.lived.last_transaction_id,
        )
        self.runner.run(self.store.commit_intent(intent, signal, b"{}"))
        self.lived.reserve(intent)
        self.waiting.append(intent)

    @rule(times=st.integers(1, 4))
    def fill(self, times: int) -> None:
        """A market order fills at once or never; half an hour is more than doubt lasts."""
        self.waiting = [i for i in self.waiting if i.created_ns >= self.now_ns - 1_800 * S]
        for intent in self.waiting[:times]:
            number = self.lived.last_transaction_id + 1
            opened = TradeOpen(number, intent.units, 110_000, intent.id)
            self.deliver(intent.instrument, intent.units, ZERO, intent.id, opened=opened)
        del self.waiting[:times]

    @rule(result=st.sampled_from([Decimal(-1), Decimal(-1), ZERO, Decimal(1)]))
    def leave(self, result: Decimal) -> None:
        for trade in list(self.lived.trades.values())[:1]:
            leg = TradeReduce(trade.trade_id, -trade.units, 110_000, result)
            self.deliver(trade.instrument, -trade.units, result, "", closed=(leg,))

    def deliver(
        self,
        name: str,
        units: Decimal,
        result: Decimal,
        client_order_id: str,
        *,
        opened: TradeOpen | None = None,
        closed: tuple[TradeReduce, ...] = (),
    ) -> None:
        number = self.lived.last_transaction_id + 1
        event = OrderFilled(
            number,
            self.now_ns,
            number,
            name,
            units,
            110_000,
            "MARKET_ORDER",
            result,
            ZERO,
            ZERO,
            self.lived.balance + result,
            client_order_id,
            opened,
            closed=closed,
        )
        self.runner.run(self.store.apply_account_events(ACCOUNT, [event]))
        self.lived.apply(event)

    @rule()
    def unkill(self) -> None:
        self.runner.run(self.store.record_kill(ACCOUNT, ""))
        for name in INSTRUMENTS:
            self.lived.unblock(name, REPEATED)

    @invariant()
    def a_restart_changes_nothing(self) -> None:
        if not hasattr(self, "runner"):
            return
        state = self.runner.run(self.store.load_state(ACCOUNT))
        book = Book("GBP", INSTRUMENTS, LIMITS)
        book.restore(account(Decimal(100_000)), state, self.now_ns)
        for order in state.orders:
            if order.state == "INTENT":
                book.reserve(order.intent)
        assert self.pace_of(book) == self.pace_of(self.lived)

    def pace_of(self, book: Book) -> object:
        return (
            book.loss_streak,
            book.last_loss_ns if book.loss_streak else 0,
            [at for at in book.sent_ns if at > self.now_ns - MINUTE_NS],
            {name for name, causes in book.blocked.items() if REPEATED in causes},
            {
                name: recent
                for name, times in book.filled_ns.items()
                if (recent := [at for at in times if at > self.now_ns - HOUR_NS])
            },
        )

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.close()


Lives.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
test_a_book_started_from_the_store_goes_on_as_the_one_before = Lives.TestCase
