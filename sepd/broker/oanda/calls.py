"""Every call of OANDA v20 that the `Broker` port does not have, by resource.

Reads return records and raise as `Rest.read` does; writes return an `Outcome` and never raise
for what became of them. An order or trade is named by its id or by `@` and its client id.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import quote

from msgspec import UNSET, UnsetType

from sepd.broker.oanda import records, requests, wire
from sepd.broker.oanda.channel import Channel, Parameters, understood
from sepd.broker.oanda.limits import Urgency
from sepd.domain.account import AccountEvent
from sepd.domain.order import Outcome
from sepd.domain.time import format_time

Specifier = int | str
Change = requests.ExitDetails | None | UnsetType
_ACCOUNTS = wire.decoder(records.AccountsReply)
_SUMMARY = wire.decoder(records.SummaryReply)
_CHANGES = wire.decoder(records.ChangesReply)
_ORDERS = wire.decoder(records.OrdersReply)
_ORDER = wire.decoder(records.OrderReply)
_TRADES = wire.decoder(records.TradesReply)
_TRADE = wire.decoder(records.TradeReply)
_POSITIONS = wire.decoder(records.PositionsReply)
_POSITION = wire.decoder(records.PositionReply)
_PAGES = wire.decoder(records.TransactionPages)
_TRANSACTION = wire.decoder(records.TransactionReply)
_TRANSACTIONS = wire.decoder(wire.TransactionsReply)


class AccountCalls:
    """The account itself."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(self) -> Sequence[records.AccountName]:
        """Accounts that the token may use."""
        reply = await self._channel.read("reading the accounts", "/v3/accounts", _ACCOUNTS)
        return reply.accounts

    async def summary(self) -> records.SummaryReply:
        """The account without its orders, trades and positions."""
        path = self._channel.path("/summary")
        return await self._channel.read("reading the summary", path, _SUMMARY)

    async def changes(self, transaction_id: int) -> records.ChangesReply:
        """What happened since a transaction, and the figures that move with prices."""
        path = self._channel.path("/changes")
        since = {"sinceTransactionID": transaction_id}
        return await self._channel.read("reading changes", path, _CHANGES, since, bulk=True)

    async def configure(self, *, alias: str = "", margin_rate: Decimal | None = None) -> Outcome:
        """Set the account's name or its own margin rate."""
        rate = {} if margin_rate is None else {"marginRate": requests.plain(margin_rate)}
        body = rate | ({"alias": alias} if alias else {})
        return await self._channel.send("PATCH", self._channel.path("/configuration"), body)


class OrderCalls:
    """Orders of every type."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def create(self, order: requests.Order) -> Outcome:
        """Send an order, once."""
        body = {"order": requests.body(order)}
        return await self._channel.send("POST", self._channel.path("/orders"), body)

    async def replace(self, order: Specifier, by: requests.Order) -> Outcome:
        """Cancel a pending order and create another of its type in its place."""
        body = {"order": requests.body(by)}
        return await self._channel.send("PUT", self._path(order), body)

    async def cancel(self, order: Specifier) -> Outcome:
        """Cancel a pending order."""
        return await self._channel.send("PUT", self._path(order, "/cancel"), None, Urgency.EXIT)

    async def extend(
        self,
        order: Specifier,
        own: wire.Extensions | None = None,
        trade: wire.Extensions | None = None,
    ) -> Outcome:
        """Set the client extensions of a pending order, and of the trade that it will open."""
        given = {"clientExtensions": own, "tradeClientExtensions": trade}
        body = {name: requests.body(value) for name, value in given.items() if value is not None}
        return await self._channel.send("PUT", self._path(order, "/clientExtensions"), body)

    async def get(self, order: Specifier) -> records.Order:
        """One order; by `@clientid` only while it is pending."""
        reply = await self._channel.read("reading an order", self._path(order), _ORDER)
        return reply.order

    async def pending(self) -> Sequence[records.Order]:
        """All pending orders."""
        path = self._channel.path("/pendingOrders")
        reply = await self._channel.read("reading pending orders", path, _ORDERS, bulk=True)
        return reply.orders

    async def list(
        self,
        *,
        state: str | None = None,
        instrument: str | None = None,
        count: int | None = None,
        before_id: int | None = None,
        ids: Sequence[int] = (),
    ) -> Sequence[records.Order]:
        """Orders, the newest first; OANDA's defaults are the 50 newest pending ones."""
        parameters = _page(state, instrument, count, before_id, ids)
        path = self._channel.path("/orders")
        reply = await self._channel.read("reading orders", path, _ORDERS, parameters, bulk=True)
        return reply.orders

    def _path(self, order: Specifier, tail: str = "") -> str:
        return self._channel.path(f"/orders/{_specified(order)}{tail}")


class TradeCalls:
    """Trades."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def get(self, trade: Specifier) -> records.Trade:
        """One trade; by `@clientid` only while it is open."""
        reply = await self._channel.read("reading a trade", self._path(trade), _TRADE)
        return reply.trade

    async def open(self) -> Sequence[records.Trade]:
        """All open trades."""
        path = self._channel.path("/openTrades")
        reply = await self._channel.read("reading open trades", path, _TRADES, bulk=True)
        return reply.trades

    async def list(
        self,
        *,
        state: str | None = None,
        instrument: str | None = None,
        count: int | None = None,
        before_id: int | None = None,
        ids: Sequence[int] = (),
    ) -> Sequence[records.Trade]:
        """Trades, the newest first; OANDA's defaults are the 50 newest open ones."""
        parameters = _page(state, instrument, count, before_id, ids)
        path = self._channel.path("/trades")
        reply = await self._channel.read("reading trades", path, _TRADES, parameters, bulk=True)
        return reply.trades

    async def close(self, trade: Specifier, units: Decimal | None = None) -> Outcome:
        """Close `units` of a trade, or all that is left of it."""
        body = {"units": "ALL" if units is None else requests.plain(abs(units))}
        return await self._channel.send("PUT", self._path(trade, "/close"), body, Urgency.EXIT)

    async def extend(self, trade: Specifier, own: wire.Extensions) -> Outcome:
        """Set the client extensions of an open trade."""
        body = {"clientExtensions": requests.body(own)}
        return await self._channel.send("PUT", self._path(trade, "/clientExtensions"), body)

    async def protect(
        self,
        trade: Specifier,
        *,
        take_profit: Change = UNSET,
        stop_loss: Change = UNSET,
        trailing_stop_loss: Change = UNSET,
    ) -> Outcome:
        """Set the orders that close a trade: None cancels one, UNSET leaves it as it is."""
        given = {
            "takeProfit": take_profit,
            "stopLoss": stop_loss,
            "trailingStopLoss": trailing_stop_loss,
        }
        body = {
            name: None if value is None else requests.body(value)
            for name, value in given.items()
            if not isinstance(value, UnsetType)
        }
        return await self._channel.send("PUT", self._path(trade, "/orders"), body, Urgency.EXIT)

    def _path(self, trade: Specifier, tail: str = "") -> str:
        return self._channel.path(f"/trades/{_specified(trade)}{tail}")


class PositionCalls:
    """Positions: all trades of an instrument."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def list(self, *, only_open: bool = False) -> Sequence[records.Position]:
        """Instruments that were ever traded; the flat ones have no units."""
        path = self._channel.path("/openPositions" if only_open else "/positions")
        reply = await self._channel.read("reading positions", path, _POSITIONS, bulk=True)
        return reply.positions

    async def get(self, instrument: str) -> records.Position:
        """One position."""
        path = self._channel.path(f"/positions/{instrument}")
        reply = await self._channel.read("reading a position", path, _POSITION)
        return reply.position

    async def close(
        self, instrument: str, *, long: Decimal | str = "NONE", short: Decimal | str = "NONE"
    ) -> Outcome:
        """Close units, ALL or NONE of each side; a side that is not there fails the whole."""
        body = {
            f"{side}Units": units if isinstance(units, str) else requests.plain(abs(units))
            for side, units in (("long", long), ("short", short))
        }
        path = self._channel.path(f"/positions/{instrument}/close")
        return await self._channel.send("PUT", path, body, Urgency.EXIT)


class TransactionCalls:
    """The account's transactions, beside those since an id, which the port has."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def pages(
        self, from_ns: int, to_ns: int, *, page_size: int = 1_000, kinds: Sequence[str] = ()
    ) -> records.TransactionPages:
        """Addresses of the pages of a stretch of time, at most 365 days."""
        parameters: Parameters = {
            "from": format_time(from_ns),
            "to": format_time(to_ns),
            "pageSize": page_size,
            "type": ",".join(kinds) or None,
        }
        path = self._channel.path("/transactions")
        return await self._channel.read("reading transaction pages", path, _PAGES, parameters)

    async def get(self, transaction_id: int) -> AccountEvent:
        """One transaction."""
        what, path = "reading a transaction", self._channel.path(f"/transactions/{transaction_id}")
        reply = await self._channel.read(what, path, _TRANSACTION)
        with understood(what):
            return self._channel.event(reply.transaction)

    async def between(self, first: int, last: int) -> Sequence[AccountEvent]:
        """Transactions with ids from `first` to `last`, both included."""
        what, path = "reading transactions", self._channel.path("/transactions/idrange")
        parameters = {"from": first, "to": last}
        reply = await self._channel.read(what, path, _TRANSACTIONS, parameters, bulk=True)
        with understood(what):
            return [self._channel.event(row) for row in reply.transactions]


class Calls:
    """All of them."""

    def __init__(self, channel: Channel) -> None:
        self.account = AccountCalls(channel)
        self.orders = OrderCalls(channel)
        self.trades = TradeCalls(channel)
        self.positions = PositionCalls(channel)
        self.transactions = TransactionCalls(channel)


def _specified(name: Specifier) -> str:
    """An id or `@clientid`, fit for an address."""
    return quote(str(name), safe="@")


def _page(
    state: str | None,
    instrument: str | None,
    count: int | None,
    before_id: int | None,
    ids: Sequence[int],
) -> Parameters:
    return {
        "state": state,
        "instrument": instrument,
        "count": count,
        "beforeID": before_id,
        "ids": ",".join(map(str, ids)) or None,
    }
