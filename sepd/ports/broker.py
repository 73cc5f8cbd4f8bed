"""What a broker does: an account at OANDA, or one that behaves like it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from sepd.domain.account import AccountEvent, AccountSnapshot, TransactionHeartbeat
from sepd.domain.market import Candle, Granularity, Heartbeat, Instrument, Quote
from sepd.domain.order import OrderIntent, Outcome


class PriceBatch(Struct, frozen=True):
    """What one read of the price stream brought, in order.

    A paced venue (a tape played no faster than it is dealt with) sets `after_transaction`, the
    account's newest transaction id at the last item, and `token` where it waits for
    `Broker.acknowledge(token)` before it moves on; both are None at OANDA.
    """

    items: tuple[Quote | Heartbeat, ...]
    after_transaction: int | None = None
    token: str | None = None


class Broker(Protocol):
    """An OANDA v20 account. Every call has a deadline.

    Reads raise `TransientError` (try again), `ConfigError` (credentials) or `BrokerRejected`.
    """

    @property
    def account_id(self) -> str:
        """The account that orders go to."""
        ...

    async def open(self) -> None:
        """Connect and check the credentials."""
        ...

    async def close(self) -> None:
        """Close every connection; may be called twice."""
        ...

    async def stay_connected(self) -> None:
        """Keep connections open for orders until cancelled, if there is anything to keep."""
        ...

    async def instruments(self) -> Mapping[str, Instrument]:
        """Tradable instruments by name."""
        ...

    async def account(self) -> AccountSnapshot:
        """The whole account at one transaction id."""
        ...

    async def quotes(self, instruments: Sequence[str]) -> Sequence[Quote]:
        """Newest quote of each instrument."""
        ...

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """Complete candles that start in [from_ns, to_ns), oldest first, paged as needed."""
        ...

    def stream_prices(self, instruments: Sequence[str]) -> AsyncIterator[PriceBatch]:
        """Prices as they come; ends by raising `TransientError` on silence or a broken line."""
        ...

    def stream_transactions(
        self,
    ) -> AsyncIterator[Sequence[AccountEvent | TransactionHeartbeat]]:
        """Account events from now on; no replay of the past."""
        ...

    async def transactions_since(self, transaction_id: int) -> Sequence[AccountEvent]:
        """All account events after `transaction_id`, complete and in order."""
        ...

    async def place(self, intent: OrderIntent) -> Outcome:
        """Send `intent` once. Never raises for what became of it: the `Outcome` says it."""
        ...

    def rehearse(self, intent: OrderIntent) -> None:
        """Do what keeps the next `place` quick, and sends nothing."""
        ...

    def expect(self, intent: OrderIntent) -> None:
        """Know the transactions of `intent`, which an earlier process may have sent."""
        ...

    async def cancel(self, order_id: int) -> Outcome:
        """Cancel a pending order."""
        ...

    async def acknowledge(self, token: str) -> None:
        """Tell a paced venue that all up to `token` has been dealt with."""
        ...
