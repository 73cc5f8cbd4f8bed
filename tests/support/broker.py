"""A broker in memory that keeps OANDA's rules as far as execution depends on them.

Ids count up by one; a market order is a MARKET_ORDER row and a fill or cancel row, followed by
the rows of its stop and target; duplicate client ids of market orders fill twice. What goes wrong
is chosen per order by `faults`, oldest first; without one an order goes well.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum, auto

from msgspec.structs import replace

from sepd.domain.account import (
    AccountEvent,
    AccountSnapshot,
    OpenTrade,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    PendingOrder,
    TradeOpen,
    TradeReduce,
    TransactionHeartbeat,
)
from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.domain.order import Ambiguous, Done, OrderIntent, Outcome, Purpose, Refused, Unsent
from sepd.errors import TransientError
from sepd.ports import PriceBatch

ZERO = Decimal(0)
RowMaker = Callable[[int], AccountEvent]


class Fault(Enum):
    """What becomes of one order."""

    NONE = auto()
    LOST_REPLY = auto()
    LOST_REQUEST = auto()
    LATE = auto()
    UNSENT = auto()
    REJECT = auto()
    CANCEL = auto()
    SHORT_REPLY = auto()


class FakeBroker:
    """One account, home currency equal to every quote currency."""

    def __init__(
        self, instruments: Sequence[Instrument], quotes: Mapping[str, tuple[int, int]]
    ) -> None:
        self.by_name = {instrument.name: instrument for instrument in instruments}
        self.prices = dict(quotes)
        self.balance = Decimal(100_000)
        self.rows: list[AccountEvent] = []
        self.open_trades: dict[int, OpenTrade] = {}
        self.stops: dict[int, int] = {}
        self.faults: deque[Fault] = deque()
        self.placed: list[OrderIntent] = []
        # (loop time of sending, what was sent)
        self.late: list[tuple[float, OrderIntent]] = []
        self.price_batches: list[PriceBatch] = []
        self.transaction_batches: list[Sequence[AccountEvent | TransactionHeartbeat]] = []
        self.scanned: Callable[[], None] = lambda: None
        self.scans = 0
        self.fail_scans = 0
        self.hidden_scans = 0
        self.staying = False
        self.latency_s = 0.0
        self.held = 0
        self.hold: asyncio.Event | None = None

    @property
    def account_id(self) -> str:
        return "001-011-5838423-001"

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def stay_connected(self) -> None:
        self.staying = True
        await asyncio.Event().wait()

    async def instruments(self) -> Mapping[str, Instrument]:
        return self.by_name

    async def account(self) -> AccountSnapshot:
        return AccountSnapshot(
            account_id=self.account_id,
            currency="USD",
            balance=self.balance,
            nav=self.balance,
            margin_used=ZERO,
            margin_available=self.balance,
            last_transaction_id=len(self.rows),
            trades=tuple(self.open_trades.values()),
            orders=tuple(
                PendingOrder(order_id=order_id, kind="STOP_LOSS", trade_id=trade_id)
                for order_id, trade_id in self.stops.items()
            ),
        )

    async def quotes(self, instruments: Sequence[str]) -> Sequence[Quote]:
        return [Quote(name, 0, *self.prices[name]) for name in instruments]

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        return []

    async def stream_prices(self, instruments: Sequence[str]) -> AsyncIterator[PriceBatch]:
        for batch in self.price_batches:
            yield batch

    async def stream_transactions(
        self,
    ) -> AsyncIterator[Sequence[AccountEvent | TransactionHeartbeat]]:
        for batch in self.transaction_batches:
            yield batch

    async def transactions_since(self, transaction_id: int) -> Sequence[AccountEvent]:
        await asyncio.sleep(self.latency_s)
        self.scans += 1
        self.scanned()
        if self.fail_scans:
            self.fail_scans -= 1
            raise TransientError("The broker did not answer in time.")
        if self.hidden_scans:
            self.hidden_scans -= 1
            return []
        return self.rows[transaction_id:]

    def rehearse(self, intent: OrderIntent) -> None:
        """Nothing goes cold here."""

    async def place(self, intent: OrderIntent) -> Outcome:
        await asyncio.sleep(self.latency_s)
        if self.hold:
            self.held += 1
            self.scanned()
            await self.hold.wait()
        self.placed.append(intent)
        outcome = self._deal(intent)
        await asyncio.sleep(self.latency_s)
        return outcome

    def _deal(self, intent: OrderIntent) -> Outcome:
        fault = self.faults.popleft() if self.faults else Fault.NONE
        first = len(self.rows)
        match fault:
            case Fault.UNSENT:
                return Unsent("connection refused")
            case Fault.LOST_REQUEST:
                return Ambiguous("timeout")
            case Fault.LATE:
                self.late.append((asyncio.get_running_loop().time(), intent))
                return Ambiguous("timeout")
            case Fault.REJECT:
                row = OrderRejected(
                    len(self.rows) + 1,
                    intent.created_ns,
                    "MARKET_ORDER_REJECT",
                    "INSUFFICIENT_MARGIN",
                    intent.id,
                )
                self.rows.append(row)
                return Refused("INSUFFICIENT_MARGIN", "Not enough margin.", (row,))
            case _:
                self.execute(intent, cancel=fault is Fault.CANCEL)
        if fault is Fault.LOST_REPLY:
            return Ambiguous("connection reset")
        told = self.rows[first : first + 2]
        if fault is Fault.SHORT_REPLY:
            told = told[:1]
        return Done(tuple(told), len(self.rows))

    def expect(self, intent: OrderIntent) -> None:
        """Client ids are kept here."""

    async def cancel(self, order_id: int) -> Outcome:
        return Refused("ORDER_DOESNT_EXIST", "No such order.")

    async def acknowledge(self, token: str) -> None:
        pass

    def arrive_late(self) -> None:
        """Requests that lingered in the network reach the broker."""
        for _, intent in self.late:
            self.execute(intent)
        self.late.clear()

    def execute(self, intent: OrderIntent, *, cancel: bool = False) -> None:
        """Deal at the bid or ask."""
        number = self._row(
            lambda n: OrderAccepted(
                n,
                intent.created_ns,
                "MARKET",
                "CLIENT_ORDER",
                intent.instrument,
                intent.units,
                client_order_id=intent.id,
            )
        )
        gone = intent.purpose is Purpose.EXIT and intent.trade_id not in self.open_trades
        if cancel or gone:
            reason = "TRADE_DOESNT_EXIST" if gone else "MARKET_HALTED"
            self._row(lambda n: OrderCancelled(n, intent.created_ns, number, reason, intent.id))
        elif intent.purpose is Purpose.EXIT and intent.trade_id is not None:
            self.close_trade(intent.trade_id, number, intent.id, intent.created_ns)
        else:
            self._open(intent, number)

    def close_trade(
        self,
        trade_id: int,
        order_id: int,
        client_order_id: str = "",
        time_ns: int = 0,
        reason: str = "MARKET_ORDER",
    ) -> None:
        """Fill the whole trade at the exit side; its stop is cancelled."""
        trade = self.open_trades.pop(trade_id)
        bid, ask = self.prices[trade.instrument]
        price = bid if trade.units > 0 else ask
        result = (price - trade.price) * trade.units * self.by_name[trade.instrument].point
        self.balance += result
        part = TradeReduce(trade_id, -trade.units, price, result)
        self._row(
            lambda n: OrderFilled(
                n,
                time_ns,
                order_id,
                trade.instrument,
                -trade.units,
                price,
                reason,
                result,
                ZERO,
                ZERO,
                self.balance,
                client_order_id,
                closed=(part,),
            )
        )
        for stop, protected in list(self.stops.items()):
            if protected == trade_id:
                del self.stops[stop]
                if reason != "STOP_LOSS_ORDER":
                    self._cancel_linked(stop, time_ns)

    def hit_stop(self, trade_id: int, time_ns: int = 0) -> None:
        """The stop of the trade fills at the price that is quoted."""
        order = next(order for order, trade in self.stops.items() if trade == trade_id)
        self.close_trade(trade_id, order, time_ns=time_ns, reason="STOP_LOSS_ORDER")

    def _cancel_linked(self, stop: int, time_ns: int) -> None:
        self._row(lambda n: OrderCancelled(n, time_ns, stop, "LINKED_TRADE_CLOSED"))

    def _open(self, intent: OrderIntent, order_id: int) -> None:
        bid, ask = self.prices[intent.instrument]
        price = ask if intent.units > 0 else bid
        trade_id = self._row(
            lambda n: OrderFilled(
                n,
                intent.created_ns,
                order_id,
                intent.instrument,
                intent.units,
                price,
                "MARKET_ORDER",
                ZERO,
                ZERO,
                ZERO,
                self.balance,
                intent.id,
                opened=TradeOpen(n, intent.units, price, intent.id),
            )
        )
        self.open_trades[trade_id] = OpenTrade(
            trade_id,
            intent.instrument,
            intent.units,
            price,
            intent.created_ns,
            client_trade_id=intent.id,
        )
        if intent.stop_loss is not None:
            stop = self._row(
                lambda n: OrderAccepted(
                    n,
                    intent.created_ns,
                    "STOP_LOSS",
                    "ON_FILL",
                    price=intent.stop_loss,
                    trade_id=trade_id,
                )
            )
            self.stops[stop] = trade_id
            protected = replace(self.open_trades[trade_id], stop_loss=intent.stop_loss)
            self.open_trades[trade_id] = protected

    def _row(self, make: RowMaker) -> int:
        number = len(self.rows) + 1
        self.rows.append(make(number))
        return number
