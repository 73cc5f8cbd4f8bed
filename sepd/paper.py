"""Paper trading: a broker's prices, the practice venue's fills. No order leaves this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from sepd.broker.oanda import translate, wire
from sepd.broker.oanda.closings import Closings
from sepd.broker.oanda.requests import order_body
from sepd.domain.account import AccountEvent, AccountSnapshot, TransactionHeartbeat
from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.domain.order import Done, OrderIntent, Outcome, Purpose, Refused
from sepd.ports import Broker, Clock, PriceBatch
from sepd.venue import views
from sepd.venue.config import VenueConfig
from sepd.venue.engine import Engine
from sepd.venue.errors import Refusal
from sepd.venue.orders import Outcome as Made
from sepd.venue.requests import parse_order

HEARTBEAT_S = 5.0
_ACCOUNT = wire.decoder(wire.AccountReply)
_TRANSACTION = wire.decoder(wire.Transaction)


class PaperBroker:
    """A broker whose prices are `prices`' and whose account lives in memory.

    The account is new at each start and ends with the process; its id carries the start.

    Args:
        prices: an open broker; only its reading calls are used.
        clock: the account's time.
        balance: opening balance in `currency`.
    """

    def __init__(
        self, prices: Broker, clock: Clock, balance: Decimal, currency: str = "USD"
    ) -> None:
        self._prices = prices
        self._clock = clock
        self._config = VenueConfig(
            account_id=f"000-000-1-{clock.now_ns() // 1_000_000_000}",
            home_currency=currency,
            balance=balance,
            alias="sepd paper account",
        )
        self._instruments: Mapping[str, Instrument] = {}
        self._closings = Closings()
        self._changed = asyncio.Event()
        self._engine = Engine((), self._config, clock.now_ns())

    @property
    def account_id(self) -> str:
        """The paper account."""
        return self._config.account_id

    async def open(self) -> None:
        """Connect to the prices and open the account."""
        await self._prices.open()
        self._instruments = await self._prices.instruments()
        self._engine = Engine(self._instruments.values(), self._config, self._clock.now_ns())

    async def close(self) -> None:
        """Disconnect; the account is gone."""
        await self._prices.close()

    async def stay_connected(self) -> None:
        """Nothing: an order is a call."""

    async def instruments(self) -> Mapping[str, Instrument]:
        """Tradable instruments by name."""
        return await self._prices.instruments()

    async def account(self) -> AccountSnapshot:
        """The paper account."""
        self._engine.on_time(self._clock.now_ns())
        view = {
            "account": views.account_view(self._engine.account),
            "lastTransactionID": str(self._last_id),
        }
        return translate.account(_ACCOUNT.decode(msgspec.json.encode(view)), self._instruments)

    async def quotes(self, instruments: Sequence[str]) -> Sequence[Quote]:
        """Newest quote of each instrument."""
        return await self._prices.quotes(instruments)

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """The broker's own candles."""
        return await self._prices.candles(instrument, granularity, from_ns, to_ns)

    async def stream_prices(self, instruments: Sequence[str]) -> AsyncIterator[PriceBatch]:
        """The broker's prices; each meets the account's orders before it is handed on."""
        async for batch in self._prices.stream_prices(instruments):
            for item in batch.items:
                if isinstance(item, Quote):
                    self._engine.on_quote(item)
                else:
                    self._engine.on_time(item.time_ns)
            self._changed.set()
            yield batch

    async def stream_transactions(
        self,
    ) -> AsyncIterator[Sequence[AccountEvent | TransactionHeartbeat]]:
        """What happens on the account from now on, and its newest id every five seconds."""
        told = self._last_id
        yield ()
        while True:
            self._changed.clear()
            if told < self._last_id:
                events = self._since(told)
                told = self._last_id
                yield events
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._changed.wait()
            except TimeoutError:
                yield (TransactionHeartbeat(self._clock.now_ns(), told),)

    async def transactions_since(self, transaction_id: int) -> Sequence[AccountEvent]:
        """All account events after `transaction_id`."""
        return self._since(transaction_id)

    async def place(self, intent: OrderIntent) -> Outcome:
        """Fill `intent` at the newest quote, or say why not."""
        if intent.purpose is Purpose.EXIT and intent.trade_id is not None:
            self._closings.expect(intent)
            return self._became(self._engine.close_trade, str(intent.trade_id), "ALL")
        body = order_body(intent, self._instruments[intent.instrument])
        return self._became(self._engine.place, parse_order(msgspec.to_builtins(body)))

    def rehearse(self, intent: OrderIntent) -> None:
        """Nothing: an order is a call."""

    def expect(self, intent: OrderIntent) -> None:
        """Nothing: no account on paper outlives its process."""

    async def cancel(self, order_id: int) -> Outcome:
        """Cancel a pending order."""
        return self._became(self._engine.cancel, str(order_id))

    async def acknowledge(self, token: str) -> None:
        """Pass on to a paced source of prices."""
        await self._prices.acknowledge(token)

    @property
    def _last_id(self) -> int:
        return self._engine.account.ledger.last_id

    def _became(self, act: Any, *arguments: Any) -> Outcome:
        """Do something to the account and say what it wrote."""
        before = self._last_id
        try:
            made: Made = act(*arguments)
        except Refusal as refusal:
            return Refused(refusal.code or "INVALID", str(refusal))
        events = tuple(self._since(before))
        self._changed.set()
        if made.rejected:
            return Refused(made.rejected, f"The venue refused: {made.rejected}.", events)
        return Done(events, self._last_id)

    def _since(self, transaction_id: int) -> list[AccountEvent]:
        rows = self._engine.account.ledger.since(transaction_id)
        return [
            self._closings.named(
                translate.account_event(
                    _TRANSACTION.decode(msgspec.json.encode(row)), self._instruments
                )
            )
            for row in rows
        ]
