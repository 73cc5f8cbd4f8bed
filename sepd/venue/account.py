"""The account: book, ledger, market and rules, as one value that the steps work on."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from sepd.domain.market import Instrument
from sepd.market.calendar import Calendar
from sepd.market.new_york import next_roll_ns
from sepd.venue.book import Book, Order
from sepd.venue.config import VenueConfig
from sepd.venue.ledger import Ledger, Row
from sepd.venue.market import IDENTITY, Conversion, Market
from sepd.venue.money import fixed, rounded


class Account:
    """State of one account at `now_ns` (venue time, UTC ns)."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        config: VenueConfig,
        now_ns: int = 0,
        calendar: Calendar | None = None,
    ) -> None:
        self.config = config
        self.market = Market(instruments, config)
        self.ledger = Ledger(config)
        self.book = Book(balance=config.balance)
        self.now_ns = now_ns
        self.created_ns = now_ns
        self.alias = config.alias
        self.margin_rate = config.margin_rate
        self.margin_call_ns: int | None = None
        self.next_roll_ns = next_roll_ns(now_ns)
        self._calendar = calendar
        self._open()

    def _open(self) -> None:
        """The rows that every account begins with."""
        config = self.config
        site, division, user, number = map(int, config.account_id.split("-"))
        self.begin()
        self.ledger.append(
            "CREATE",
            divisionID=division,
            siteID=site,
            accountUserID=user,
            accountNumber=number,
            homeCurrency=config.home_currency,
        )
        self.begin()
        self.ledger.append(
            "TRANSFER_FUNDS",
            amount=self.money(config.balance),
            fundingReason="CLIENT_FUNDING",
            accountBalance=self.money(config.balance),
        )

    def halted(self, instrument: str) -> bool:
        """Whether nothing trades: the calendar says closed and no quote of this instant differs.

        A recorded quote is evidence that its instant was quoted.
        """
        quote = self.market.quotes.get(instrument)
        if quote is None or not quote.tradeable:
            return True
        if self._calendar is None or quote.time_ns == self.now_ns:
            return False
        return not self._calendar.is_open(instrument, self.now_ns)

    def begin(self, request_id: str = "") -> None:
        """Open a batch of transactions at the present instant."""
        self.ledger.begin(self.now_ns, request_id)

    def money(self, amount: Decimal) -> str:
        """Text of an amount in the home currency."""
        return fixed(amount, self.config.money_digits)

    def round(self, amount: Decimal) -> Decimal:
        """An amount as the account books it."""
        return rounded(amount, self.config.money_digits)

    def price(self, instrument: str, points: int) -> str:
        """Text of a price with all the instrument's decimals."""
        return self.market.instruments[instrument].price_text(points)

    def quote_conversion(self, instrument: str) -> Conversion:
        """Conversion of the instrument's quote currency; 1 where no rate is known."""
        quote = self.market.instruments[instrument].quote
        return self.market.conversion(quote) or IDENTITY

    def base_conversion(self, instrument: str) -> Conversion:
        """Conversion of the instrument's base currency, through its own mid price if need be."""
        direct = self.market.conversion(self.market.instruments[instrument].base)
        if direct is not None:
            return direct
        price = self.market.mid(instrument)
        return self.market.marked_up((price or 0) * self.quote_conversion(instrument).mid)

    def cancel(self, order: Order, reason: str, **fields: str | None) -> Row:
        """Write the ORDER_CANCEL of `order` and end it."""
        row = self.ledger.append(
            "ORDER_CANCEL",
            orderID=str(order.id),
            clientOrderID=order.client_id or None,
            reason=reason,
            **fields,
        )
        order.state = "CANCELLED"
        order.ending = {"cancellingTransactionID": row["id"], "cancelledTime": row["time"]}
        if fields.get("replacedByOrderID"):
            order.ending["replacedByOrderID"] = fields["replacedByOrderID"]
        self.retire(order)
        return row

    def retire(self, order: Order) -> None:
        """`order` is pending no more."""
        self.book.pending.pop(order.id, None)
        trade = self.book.trades.get(order.trade_id) if order.trade_id else None
        if trade is not None and trade.dependents.get(order.kind) == order.id:
            del trade.dependents[order.kind]
