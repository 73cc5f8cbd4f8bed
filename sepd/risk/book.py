"""What the account holds and owes, as the risk gate needs it.

One task owns a `Book` and changes it: quotes as they come, account events in the order of their
transaction ids, reservations for intents on their way. An intent counts as exposure from the
moment it is reserved until the broker's record says what became of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

from msgspec.structs import replace

from sepd.domain.account import (
    AccountEvent,
    AccountSnapshot,
    BalanceChanged,
    OpenTrade,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
)
from sepd.domain.ids import OURS
from sepd.domain.market import Instrument, Quote
from sepd.domain.order import OrderIntent, Purpose
from sepd.market.calendar import Calendar
from sepd.ports import DayLedger, StoredState
from sepd.risk.day import trading_day
from sepd.risk.terms import Terms, terms_of
from sepd.settings import RiskSettings

ZERO = Decimal(0)
HOUR_NS = 3_600 * 1_000_000_000
REMEMBERED = 1_024
TRANSFER = "TRANSFER_FUNDS"
REPEATED = "repeated_execution"
NO_PAIR = Instrument("")


class Book:
    """Open trades, intents under way, money, newest quotes, and what happened lately.

    `blocked` names, per instrument, the causes that keep it from being entered (an empty name
    stands for every instrument); `ready` is False until the account has been reconciled;
    `clock_skew_ns` is broker time minus local time; `correlation` is measured between pairs.

    Args:
        limits: what counts as a jump, and how many fills are too many.
        calendar: opening hours; without one a market counts as open while its quotes are fresh.
    """

    def __init__(
        self,
        home: str,
        instruments: Mapping[str, Instrument],
        limits: RiskSettings = RiskSettings(),  # noqa: B008 - frozen
        calendar: Calendar | None = None,
    ) -> None:
        self.home = home
        self.instruments = instruments
        self.limits = limits
        self.calendar = calendar
        self.ready = False
        self.killed = ""
        self.balance = ZERO
        self.realized = ZERO
        self.last_transaction_id = 0
        self.trades: dict[int, OpenTrade] = {}
        self.pending: dict[str, OrderIntent] = {}
        self.quotes: dict[str, Quote] = {}
        self.jumped_ns: dict[str, int] = {}
        self.blocked: dict[str, set[str]] = {}
        self.correlation: Mapping[frozenset[str], Decimal] = {}
        self.clock_skew_ns = 0
        self.loss_streak = 0
        self.last_loss_ns = 0
        self.sent_ns: deque[int] = deque(maxlen=REMEMBERED)
        self.filled_ns: dict[str, deque[int]] = {}
        self._day = DayLedger("", ZERO, ZERO, ZERO)
        self._terms: dict[str, Terms] = {}
        self._stops: dict[int, int] = {}
        self._sent: set[str] = set()
        self._shortest_jump = int(2 * limits.max_jump_pips)

    def restore(self, snapshot: AccountSnapshot, state: StoredState, now_ns: int) -> None:
        """Take the broker's account as the truth, and from the store what it does not know."""
        self.balance = snapshot.balance
        self.last_transaction_id = snapshot.last_transaction_id
        self.trades = {trade.trade_id: trade for trade in snapshot.trades}
        self._stops = {
            order.order_id: order.trade_id
            for order in snapshot.orders
            if order.kind == "STOP_LOSS" and order.trade_id is not None
        }
        self.killed = state.killed
        self._go_on(state)
        self._day = state.day or DayLedger(
            trading_day(now_ns), snapshot.balance, ZERO, snapshot.balance
        )

    def _go_on(self, state: StoredState) -> None:
        """Count on where the process before this one left off, its latches included."""
        recent = state.recent
        self.loss_streak, self.last_loss_ns = recent.loss_streak, recent.last_loss_ns
        self.sent_ns.extend(recent.sent_ns)
        self._sent = {order.intent.id for order in state.orders}
        for fill in recent.fills:
            latches = fill.trade_id > recent.released
            self._count_fill(fill.instrument, fill.time_ns, latches=latches)

    def day(self, now_ns: int) -> DayLedger:
        """The ledger of the trading day that holds `now_ns`; a new day starts from the balance."""
        today = trading_day(now_ns)
        if today <= self._day.day:
            return self._day
        return DayLedger(today, self.balance, ZERO, max(self._day.high_water, self.balance))

    def terms(self, name: str, limits: RiskSettings) -> Terms:
        """What `limits` mean for the pair `name`, worked out when either is another object.

        For an unknown pair they are those of a pair like most; the gate refuses it.
        """
        pair, known = self.instruments.get(name, NO_PAIR), self._terms.get(name)
        if known is None or known.limits is not limits or known.pair is not pair:
            known = self._terms[name] = terms_of(limits, pair)
        return known

    def observe(self, quote: Quote) -> None:
        """Take a quote; one older than the newest is ignored, one far from it is remembered."""
        newest = self.quotes.get(quote.instrument)
        if newest is not None:
            if quote.time_ns < newest.time_ns:
                return
            if self._jumps(newest, quote):
                self.jumped_ns[quote.instrument] = quote.time_ns
        self.quotes[quote.instrument] = quote

    def _jumps(self, newest: Quote, quote: Quote) -> bool:
        """Whether two quotes close in time are too far apart in price."""
        moved = abs(quote.bid + quote.ask - newest.bid - newest.ask)
        if moved < self._shortest_jump:
            return False
        pair = self.instruments.get(quote.instrument)
        limit = 2 * self.limits.max_jump_pips * (pair.points_per_pip if pair else 1)
        age = Decimal(quote.time_ns - newest.time_ns).scaleb(-9)
        return moved > limit and age <= self.limits.max_quote_age_s

    def reserve(self, intent: OrderIntent) -> None:
        """Count `intent` as held until its fate is known, and an entry as sent."""
        self.pending[intent.id] = intent
        if intent.purpose is Purpose.ENTRY and intent.id not in self._sent:
            newest = self.sent_ns[-1] if self.sent_ns else 0
            self.sent_ns.append(max(intent.created_ns, newest))

    def release(self, intent_id: str) -> None:
        """Forget an intent that certainly will not fill (any more)."""
        self.pending.pop(intent_id, None)

    def block(self, instrument: str, cause: str) -> None:
        """No entries of `instrument` (an empty name: of any) until `cause` is lifted."""
        self.blocked.setdefault(instrument, set()).add(cause)

    def unblock(self, instrument: str, cause: str) -> None:
        """Lift one cause."""
        self.blocked.get(instrument, set()).discard(cause)

    def exits(self, trade_id: int) -> bool:
        """Whether an exit of this trade is under way."""
        return any(intent.trade_id == trade_id for intent in self.pending.values())

    def apply(self, event: AccountEvent) -> bool:
        """Apply one broker transaction; False, and no change, if it is not newer than the last."""
        if event.transaction_id <= self.last_transaction_id:
            return False
        self.last_transaction_id = event.transaction_id
        match event:
            case OrderFilled():
                self._fill(event)
            case OrderAccepted(kind="STOP_LOSS", trade_id=int() as trade_id):
                self._stops[event.transaction_id] = trade_id
                self._protect(trade_id, self._stop_price(trade_id, event))
            case OrderCancelled():
                self.release(event.client_order_id)
                self._protect(self._stops.pop(event.order_id, 0), None)
            case OrderRejected():
                self.release(event.client_order_id)
            case BalanceChanged():
                transfer = event.kind == TRANSFER
                self._money(event.time_ns, event.balance, transfer)
                self.realized += ZERO if transfer else event.amount
            case _:
                pass
        return True

    def _fill(self, event: OrderFilled) -> None:
        self._money(event.time_ns, event.balance, transfer=False)
        self.realized += event.pl + event.financing - event.commission
        reductions = [*event.closed, *([event.reduced] if event.reduced else [])]
        for part in reductions:
            trade = self.trades.get(part.trade_id)
            if trade is None:
                continue
            left = trade.units + part.units
            if left and part is event.reduced:
                self.trades[part.trade_id] = replace(trade, units=left)
            else:
                del self.trades[part.trade_id]
        if reductions:
            self._result(event.time_ns, event.pl + event.financing)
        intent = self.pending.get(event.client_order_id)
        if event.opened:
            self.trades[event.opened.trade_id] = OpenTrade(
                trade_id=event.opened.trade_id,
                instrument=event.instrument,
                units=event.opened.units,
                price=event.opened.price,
                opened_ns=event.time_ns,
                stop_loss=intent.stop_loss if intent else None,
                take_profit=intent.take_profit if intent else None,
                client_trade_id=event.opened.client_trade_id,
            )
            if event.opened.client_trade_id.startswith(OURS):
                self._count_fill(event.instrument, event.time_ns)
        if intent:
            self._reduce_pending(intent, event.units)

    def _count_fill(self, instrument: str, time_ns: int, *, latches: bool = True) -> None:
        """Too many entries of one pair in an hour latch it off until somebody looks.

        A latched pair is not entered, so the fills that latched it stay the newest of that pair
        in the store: a restart finds them there and latches again.
        """
        times = self.filled_ns.setdefault(instrument, deque(maxlen=REMEMBERED))
        times.append(time_ns)
        if latches and reached(times, time_ns - HOUR_NS, self.limits.max_fills_per_hour + 1):
            self.block(instrument, REPEATED)

    def _reduce_pending(self, intent: OrderIntent, filled: Decimal) -> None:
        left = intent.units - filled
        if left * intent.units > 0:
            self.pending[intent.id] = replace(intent, units=left)
        else:
            self.release(intent.id)

    def _money(self, time_ns: int, balance: Decimal, transfer: bool) -> None:
        """Book the change of balance: a transfer moves the marks, all else is a result."""
        day = self.day(time_ns)
        moved = balance - self.balance
        self.balance = balance
        if transfer:
            self._day = replace(
                day,
                opening_balance=day.opening_balance + moved,
                high_water=max(day.high_water + moved, balance),
            )
        else:
            self._day = replace(
                day,
                realized_pl=day.realized_pl + moved,
                high_water=max(day.high_water, balance),
            )

    def _result(self, time_ns: int, result: Decimal) -> None:
        if result < 0:
            self.loss_streak += 1
            self.last_loss_ns = time_ns
        elif result > 0:
            self.loss_streak = 0

    def _stop_price(self, trade_id: int, event: OrderAccepted) -> int | None:
        """Points of a stop: OANDA's row names the trade alone, which knows its instrument."""
        trade = self.trades.get(trade_id)
        if event.level is None or trade is None:
            return event.price
        return self.instruments[trade.instrument].nearest_points(event.level)

    def _protect(self, trade_id: int, stop: int | None) -> None:
        trade = self.trades.get(trade_id)
        if trade:
            self.trades[trade_id] = replace(trade, stop_loss=stop)


def reached(times: deque[int], since_ns: int, count: int) -> bool:
    """Whether `count` of the ascending `times` are later than `since_ns`; `count` ≤ REMEMBERED."""
    return len(times) >= count and times[-count] > since_ns
