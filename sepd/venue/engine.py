"""The venue's account as a machine: quotes and requests in, transactions out. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable

from sepd.domain.market import Instrument, Quote
from sepd.venue import closing, orders
from sepd.venue.account import Account
from sepd.venue.book import Order
from sepd.venue.config import VenueConfig
from sepd.venue.fills import execute
from sepd.venue.orders import Outcome
from sepd.venue.requests import OrderRequest
from sepd.venue.triggers import Watch, ratchet, reached, watch_orders


class Engine:
    """One account on recorded quotes.

    Its transactions are `account.ledger`; every method that makes some says so by growing it.
    """

    def __init__(
        self, instruments: Iterable[Instrument], config: VenueConfig | None = None, now_ns: int = 0
    ) -> None:
        self.account = Account(instruments, config or VenueConfig(), now_ns)

    def observe(self, quote: Quote) -> None:
        """Take note of a quote at which, by `watch`, nothing can happen."""
        self.account.now_ns = max(self.account.now_ns, quote.time_ns)
        self.account.market.put(quote)

    def on_time(self, now_ns: int) -> None:
        """Time passed without a quote."""
        self.account.now_ns = max(self.account.now_ns, now_ns)

    def on_quote(self, quote: Quote) -> None:
        """Take note of a quote and fill the orders that it triggers, oldest first."""
        self.observe(quote)
        if quote.tradeable:
            for order in list(self.account.book.pending.values()):
                if order.instrument == quote.instrument and order.state == "PENDING":
                    self._offer(order, quote)

    def _offer(self, order: Order, quote: Quote) -> None:
        if order.kind == "TRAILING_STOP_LOSS":
            ratchet(self.account, order, quote)
        if reached(self.account, order, quote):
            self.account.begin()
            execute(self.account, order, quote, f"{order.kind}_ORDER")

    def watch(self, instrument: str) -> Watch | None:
        """Prices of `instrument` at which `on_quote` must be called; None: nowhere."""
        return watch_orders(self.account, instrument)

    def place(self, request: OrderRequest, request_id: str = "") -> Outcome:
        """Create an order."""
        self.account.begin(request_id)
        return orders.place(self.account, request)

    def close_trade(self, specifier: str, units: str, request_id: str = "") -> Outcome:
        """Close a trade, wholly (`ALL`) or in part."""
        self.account.begin(request_id)
        return closing.close_trade(self.account, specifier, units)

    def close_position(
        self,
        instrument: str,
        sides: dict[str, tuple[str, dict[str, str] | None]],
        request_id: str = "",
    ) -> Outcome:
        """Close sides of a position."""
        self.account.begin(request_id)
        return closing.close_position(self.account, instrument, sides)
