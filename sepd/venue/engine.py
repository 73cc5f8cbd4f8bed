"""The venue's account as a machine: quotes and requests in, transactions out. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from sepd.domain.market import Instrument, Quote
from sepd.market.calendar import Calendar
from sepd.venue import amending, closing, orders, upkeep
from sepd.venue.account import Account
from sepd.venue.book import Order, Trade
from sepd.venue.config import VenueConfig
from sepd.venue.fills import execute
from sepd.venue.orders import Outcome
from sepd.venue.requests import Details, OrderRequest
from sepd.venue.triggers import Watch, ratchet, reached, watch_orders


class Engine:
    """One account on recorded quotes.

    Its transactions are `account.ledger`; every method that makes some says so by growing it.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        config: VenueConfig | None = None,
        now_ns: int = 0,
        calendar: Calendar | None = None,
    ) -> None:
        self.account = Account(instruments, config or VenueConfig(), now_ns, calendar)
        self._calm: dict[str, Watch | None] = {}
        self._calm_since = 0

    def observe(self, quote: Quote) -> None:
        """Take note of a quote at which, by `watch`, nothing can happen."""
        self.account.now_ns = max(self.account.now_ns, quote.time_ns)
        self.account.market.put(quote)

    def on_time(self, now_ns: int) -> None:
        """Time passed: orders expire, financing is charged."""
        upkeep.run_due(self.account, now_ns)

    @property
    def deadline(self) -> int | None:
        """The next instant at which `on_time` has something to do."""
        return upkeep.deadline(self.account)

    def on_quote(self, quote: Quote) -> None:
        """Take note of a quote and fill the orders that it triggers, oldest first."""
        self.on_time(quote.time_ns)
        self.observe(quote)
        if not self.account.halted(quote.instrument):
            for order in list(self.account.book.pending.values()):
                if order.instrument == quote.instrument and order.state == "PENDING":
                    self._offer(order, quote)
            self._check_margin(quote)

    def _check_margin(self, quote: Quote) -> None:
        """Look at the margin where the quote has left the range in which it is known to do."""
        watch = self._margin_watch(quote.instrument)
        if watch is not None and not watch.calm(quote):
            upkeep.check_margin(self.account)
            self._calm.clear()

    def _margin_watch(self, instrument: str) -> Watch | None:
        """Range of calm; kept until a quote leaves one or a transaction changes them all."""
        if self._calm_since != self.account.ledger.last_id:
            self._calm.clear()
            self._calm_since = self.account.ledger.last_id
        if instrument not in self._calm:
            if not self._calm:
                held = dict.fromkeys(t.instrument for t in self.account.book.open_trades.values())
                for name in held:
                    self._calm[name] = upkeep.watch_margin(self.account, name)
            self._calm.setdefault(instrument, upkeep.watch_margin(self.account, instrument))
        return self._calm[instrument]

    def _offer(self, order: Order, quote: Quote) -> None:
        if order.kind == "TRAILING_STOP_LOSS":
            ratchet(self.account, order, quote)
        if reached(self.account, order, quote):
            self.account.begin()
            execute(self.account, order, quote, f"{order.kind}_ORDER")

    def watch(self, instrument: str) -> Watch | None:
        """Prices of `instrument` at which `on_quote` must be called; None: nowhere."""
        for_orders = watch_orders(self.account, instrument)
        for_margin = self._margin_watch(instrument)
        if for_orders is None or for_margin is None:
            return for_orders or for_margin
        return for_orders.narrowed(for_margin)

    def place(self, request: OrderRequest, request_id: str = "") -> Outcome:
        """Create an order."""
        self.account.begin(request_id)
        return orders.place(self.account, request)

    def replace(self, specifier: str, request: OrderRequest, request_id: str = "") -> Outcome:
        """Replace a pending order."""
        self.account.begin(request_id)
        return amending.replace(self.account, specifier, request)

    def cancel(self, specifier: str, request_id: str = "") -> Outcome:
        """Cancel a pending order."""
        self.account.begin(request_id)
        return amending.cancel(self.account, specifier)

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

    def set_dependents(
        self, trade: Trade, wanted: Mapping[str, Details | None], request_id: str = ""
    ) -> Outcome:
        """Create, replace or cancel the dependents of an open trade."""
        self.account.begin(request_id)
        return amending.set_dependents(self.account, trade, wanted)

    def configure(self, alias: str | None, rate: Decimal | None, request_id: str = "") -> Outcome:
        """Set the account's alias and margin rate."""
        self.account.begin(request_id)
        outcome = amending.configure(self.account, alias, rate)
        upkeep.check_margin(self.account)
        return outcome
