"""A broker whose streams and candles are written by the test."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from sepd.domain.account import (
    AccountEvent,
    AccountSnapshot,
    OtherTransaction,
    TransactionHeartbeat,
)
from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.domain.order import OrderIntent, Outcome
from sepd.ports import PriceBatch

S = 1_000_000_000
MINUTE = 60 * S
NOON = 1_489_579_200 * S
AccountBatch = Sequence[AccountEvent | TransactionHeartbeat]


def other(number: int) -> OtherTransaction:
    """A transaction that changes nothing."""
    return OtherTransaction(number, NOON, "CLIENT_CONFIGURE")


def quote(time_ns: int, bid: int = 110_000, instrument: str = "EUR_USD") -> Quote:
    """A tradeable quote with a spread of ten points."""
    return Quote(instrument, time_ns, bid, bid + 10)


def candle(time_ns: int, instrument: str = "EUR_USD") -> Candle:
    """A flat candle of one minute."""
    return Candle(instrument, Granularity.M1, time_ns, *(110_000,) * 4, *(110_010,) * 4, 1)


class ScriptedBroker:
    """Each call of a stream plays the next script; `record` is the account's history."""

    account_id = "001-011-5838423-001"

    def __init__(self) -> None:
        self.prices: deque[Callable[[], AsyncIterator[PriceBatch]]] = deque()
        self.account_streams: deque[Callable[[], AsyncIterator[AccountBatch]]] = deque()
        self.record: list[AccountEvent] = []
        self.history: list[Candle] = []
        self.asked: list[tuple[str, int, int]] = []
        self.faults: deque[Exception | None] = deque()
        self.appearing: deque[list[Candle]] = deque()
        self.acknowledged: list[str] = []
        self.scans = 0

    async def open(self) -> None:
        """Nothing to connect."""

    async def close(self) -> None:
        """Nothing to close."""

    async def stay_connected(self) -> None:
        """No connection to keep."""

    async def instruments(self) -> Mapping[str, Instrument]:
        raise NotImplementedError

    async def account(self) -> AccountSnapshot:
        raise NotImplementedError

    async def quotes(self, instruments: Sequence[str]) -> Sequence[Quote]:
        raise NotImplementedError

    async def place(self, intent: OrderIntent) -> Outcome:
        raise NotImplementedError

    def rehearse(self, intent: OrderIntent) -> None:
        raise NotImplementedError

    def expect(self, intent: OrderIntent) -> None:
        """Client ids are kept here."""

    async def cancel(self, order_id: int) -> Outcome:
        raise NotImplementedError

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """Candles of `history`; before each answer the next of `appearing` joins it."""
        self.asked.append((instrument, from_ns, to_ns))
        fault = self.faults.popleft() if self.faults else None
        if fault is not None:
            raise fault
        if self.appearing:
            self.history += self.appearing.popleft()
        return [
            c for c in self.history if c.instrument == instrument and from_ns <= c.time_ns < to_ns
        ]

    def stream_prices(self, instruments: Sequence[str]) -> AsyncIterator[PriceBatch]:
        return self.prices.popleft()()

    def stream_transactions(self) -> AsyncIterator[AccountBatch]:
        return self.account_streams.popleft()()

    async def transactions_since(self, transaction_id: int) -> Sequence[AccountEvent]:
        self.scans += 1
        return [event for event in self.record if event.transaction_id > transaction_id]

    async def acknowledge(self, token: str) -> None:
        self.acknowledged.append(token)
