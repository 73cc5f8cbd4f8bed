"""No sequence of signals gets past any limit, whatever prices do between them.

The world here fills as a broker does: anywhere up to the price bound, stops at their price. A
model beside the book counts money and exposure from the fills alone, in its own words.
"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sepd.domain.account import OpenTrade, OrderFilled, TradeOpen, TradeReduce
from sepd.domain.market import Quote
from sepd.domain.order import OrderIntent
from sepd.domain.signal import Action
from sepd.execution.intent import entry_intent
from sepd.risk.gate import Accepted, assess
from sepd.risk.situation import EntryRequest
from sepd.settings import RiskSettings
from tests.support.gate import INSTRUMENTS, make_book
from tests.support.trading import ACCOUNT, NOON, S, make_signal

HOME = {"USD": Decimal("0.8"), "EUR": Decimal("0.88"), "CHF": Decimal("0.8"), "GBP": Decimal(1)}
LIMITS = RiskSettings(
    risk_per_trade=Decimal("0.014"),
    conversion_markup=Decimal(0),
    max_units=Decimal(520_000),
    max_notional=Decimal(450_000),
    max_gross_leverage=Decimal(10),
    max_net_leverage=Decimal(8),
    max_currency_leverage=Decimal(6),
    max_positions=4,
    max_positions_per_instrument=2,
    max_correlated=3,
    max_margin_use=Decimal("0.15"),
    max_daily_loss=Decimal("0.03"),
    max_drawdown=Decimal("0.04"),
    max_orders_per_minute=3,
    max_loss_streak=5,
    cool_down_s=30,
    max_fills_per_hour=30,
)
NAMES = ("EUR_USD", "USD_CHF", "EUR_GBP")
ZERO = Decimal(0)


class Signals(RuleBasedStateMachine):
    """Signals, fills, stops and exits in any order; conversions stand still, prices need not."""

    @initialize()
    def start(self) -> None:
        self.book = make_book(rules=LIMITS)
        self.now_ns = NOON
        self.number = 20
        self.sent: list[int] = []
        self.accepted: list[OrderIntent] = []
        self.opening = self.book.balance
        self.peak = self.book.balance

    @rule(seconds=st.integers(0, 90), moves=st.lists(st.integers(-40, 40), min_size=3, max_size=3))
    def time_passes(self, seconds: int, moves: list[int]) -> None:
        self.now_ns += seconds * S
        for name, move in zip(NAMES, moves, strict=True):
            last = self.book.quotes[name]
            fixed = move if name == "EUR_USD" else 0
            self.book.observe(Quote(name, self.now_ns, last.bid + fixed, last.ask + fixed))
        for name in ("GBP_USD", "GBP_CHF"):
            self.book.observe(Quote(name, self.now_ns, 125_000, 125_000))

    @rule(
        name=st.sampled_from(NAMES),
        action=st.sampled_from([Action.BUY, Action.SELL]),
        units=st.one_of(st.none(), st.none(), st.integers(1, 600_000)),
        fill=st.booleans(),
        stop=st.booleans(),
    )
    def signal(self, name: str, action: Action, units: int | None, fill: bool, stop: bool) -> None:
        self.number += 1
        signal = make_signal(self.number, name, action, created_ns=self.now_ns)
        asked = None if units is None else Decimal(units)
        verdict = assess(EntryRequest(signal, self.now_ns, units=asked), self.book, LIMITS)
        if isinstance(verdict, Accepted):
            intent = entry_intent(
                ACCOUNT,
                signal,
                units=verdict.units,
                price_bound=verdict.price_bound,
                stop_loss=verdict.stop_loss,
                take_profit=verdict.take_profit,
                now_ns=self.now_ns,
                checkpoint=self.book.last_transaction_id,
            )
            self.book.reserve(intent)
            self.accepted.append(intent)
            self.sent.append(self.now_ns)
            self.judge_entry(intent)
            if fill:
                self.fill_at_worst(intent)
            if fill and stop:
                newest = max(self.book.trades.values(), key=lambda trade: trade.trade_id)
                assert newest.stop_loss is not None
                self.close(newest, newest.stop_loss)

    def fill_at_worst(self, intent: OrderIntent) -> None:
        self.accepted.remove(intent)
        assert intent.price_bound is not None
        self.fill_at(intent, intent.price_bound)

    @rule(slip=st.integers(0, 50), data=st.data())
    def fill(self, slip: int, data: st.DataObject) -> None:
        if not self.accepted:
            return
        intent = self.accepted.pop(data.draw(st.integers(0, len(self.accepted) - 1)))
        bound = intent.price_bound or 0
        self.fill_at(intent, bound - slip if intent.units > 0 else bound + slip)

    def fill_at(self, intent: OrderIntent, price: int) -> None:
        number = self.book.last_transaction_id + 2
        opened = TradeOpen(number, intent.units, price, intent.id)
        self.book.apply(self.row(number, intent.instrument, intent.units, price, intent.id, opened))

    @rule(data=st.data(), part=st.sampled_from([10, 10, 10, 10, 9, 5, 0]))
    def leave(self, data: st.DataObject, part: int) -> None:
        """A trade is closed at its stop, or anywhere on the way there."""
        if not self.book.trades:
            return
        trade = data.draw(st.sampled_from(sorted(self.book.trades.values(), key=str)))
        assert trade.stop_loss is not None
        price = trade.price + (trade.stop_loss - trade.price) * part // 10
        self.close(trade, price)

    def close(self, trade: OpenTrade, price: int) -> None:
        pair = INSTRUMENTS[trade.instrument]
        result = (price - trade.price) * trade.units * pair.point * HOME[pair.quote]
        number = self.book.last_transaction_id + 2
        leg = TradeReduce(trade.trade_id, -trade.units, price, result)
        row = self.row(number, trade.instrument, -trade.units, price, "", None, leg)
        self.book.apply(row)
        self.peak = max(self.peak, self.book.balance)

    def row(
        self,
        number: int,
        name: str,
        units: Decimal,
        price: int,
        client_order_id: str,
        opened: TradeOpen | None,
        closed: TradeReduce | None = None,
    ) -> OrderFilled:
        result = closed.realized_pl if closed else ZERO
        return OrderFilled(
            number,
            self.now_ns,
            number - 1,
            name,
            units,
            price,
            "MARKET_ORDER",
            result,
            ZERO,
            ZERO,
            self.book.balance + result,
            client_order_id,
            opened,
            closed=(closed,) if closed else (),
        )

    def held(self) -> list[tuple[str, Decimal]]:
        trades = [(trade.instrument, trade.units) for trade in self.book.trades.values()]
        return trades + [(intent.instrument, intent.units) for intent in self.accepted]

    def judge_entry(self, intent: OrderIntent) -> None:
        """Right after an entry was accepted every limit holds, the entry counted."""
        held = self.held()
        names = [name for name, _ in held]
        assert len(held) <= LIMITS.max_positions
        assert names.count(intent.instrument) <= LIMITS.max_positions_per_instrument
        assert abs(intent.units) <= LIMITS.max_units
        assert {units > 0 for name, units in held if name == intent.instrument} == {
            intent.units > 0
        }
        assert self.value(intent.instrument, intent.units) <= LIMITS.max_notional
        minute = [at for at in self.sent if at > self.now_ns - 60 * S]
        assert len(minute) <= LIMITS.max_orders_per_minute
        money = self.book.balance
        gains = self.floating()
        assert sum(self.value(*one) for one in held) <= LIMITS.max_gross_leverage * (money + gains)
        currencies: dict[str, Decimal] = {}
        for name, units in held:
            pair, worth = INSTRUMENTS[name], units * HOME[INSTRUMENTS[name].base]
            currencies[pair.base] = currencies.get(pair.base, ZERO) + worth
            currencies[pair.quote] = currencies.get(pair.quote, ZERO) - worth
        margin = sum(
            self.value(name, units) * INSTRUMENTS[name].margin_rate for name, units in held
        )
        assert margin <= LIMITS.max_margin_use * (money + gains)
        largest = max(abs(worth) for worth in currencies.values())
        assert largest <= LIMITS.max_currency_leverage * (money + gains)
        assert intent.stop_loss is not None

    def value(self, name: str, units: Decimal) -> Decimal:
        return abs(units) * HOME[INSTRUMENTS[name].base]

    def floating(self) -> Decimal:
        """Profit and loss of the open trades at the exit side of the newest quotes."""
        total = ZERO
        for trade in self.book.trades.values():
            pair, at = INSTRUMENTS[trade.instrument], self.book.quotes[trade.instrument]
            price = at.bid if trade.units > 0 else at.ask
            total += (price - trade.price) * trade.units * pair.point * HOME[pair.quote]
        return total

    @invariant()
    def losses_are_bounded(self) -> None:
        """The day's loss and the drawdown are within their limits, to the last digit."""
        if hasattr(self, "book"):
            assert self.opening - self.book.balance <= LIMITS.max_daily_loss * self.opening
            assert self.peak - self.book.balance <= LIMITS.max_drawdown * self.peak


Signals.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
test_no_sequence_of_signals_gets_past_a_limit = Signals.TestCase
