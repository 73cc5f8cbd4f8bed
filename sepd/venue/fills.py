"""Filling an order at a recorded quote: what it closes, what it opens, what that earns."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct

from sepd.domain.market import Quote
from sepd.domain.time import format_time
from sepd.market.new_york import next_roll_ns
from sepd.venue import dependents
from sepd.venue.account import Account
from sepd.venue.book import Order, Trade
from sepd.venue.ledger import Row
from sepd.venue.money import ZERO, text
from sepd.venue.refusals import refusal
from sepd.venue.valuation import margin_rate, unit_value


class Split(Struct, frozen=True):
    """An order's effect: signed units that close trades, and signed units that open one."""

    closes: tuple[tuple[Trade, Decimal], ...]
    opens: Decimal

    @property
    def units(self) -> Decimal:
        """All units that trade."""
        return self.opens + sum((units for _, units in self.closes), ZERO)


def split(account: Account, order: Order) -> Split:
    """Which trades `order` reduces, oldest first, and how much is left to open."""
    wanted = _wanted(account, order)
    candidates = _reducible(account, order, wanted)
    closes, left = [], wanted
    for trade in candidates:
        part = min(abs(left), abs(trade.units)).copy_sign(left)
        if part:
            closes.append((trade, part))
            left -= part
    only_reduce = order.position_fill == "REDUCE_ONLY" or order.trade_id is not None
    return Split(tuple(closes), ZERO if only_reduce else left)


def _wanted(account: Account, order: Order) -> Decimal:
    """Signed units, cut to the stated liquidity for an order that may fill in part."""
    if order.trade_id is not None and not order.units:
        return -account.book.trades[order.trade_id].units
    limit = Decimal(account.config.liquidity)
    if order.tif == "IOC" and abs(order.units) > limit:
        return limit.copy_sign(order.units)
    return order.units


def _reducible(account: Account, order: Order, wanted: Decimal) -> list[Trade]:
    if order.trade_id is not None:
        return [account.book.trades[order.trade_id]]
    if order.position_fill == "OPEN_ONLY" or (
        order.position_fill == "DEFAULT" and account.config.hedging
    ):
        return []
    return account.book.trades_of(order.instrument, long=wanted < 0)


def execute(account: Account, order: Order, quote: Quote, reason: str) -> Row:
    """Fill `order` at `quote`, or cancel it; the ORDER_FILL or ORDER_CANCEL row."""
    effect = split(account, order)
    units = effect.units
    price = quote.ask if units > 0 else quote.bid
    if refused := refusal(account, order, effect.opens, units, price, quote):
        return account.cancel(order, refused)
    return _fill(account, order, effect, price, quote, reason)


def _fill(
    account: Account, order: Order, effect: Split, price: int, quote: Quote, reason: str
) -> Row:
    fill_id = account.ledger.last_id + 1
    reductions = [_reduce(account, t, units, price, quote, fill_id) for t, units in effect.closes]
    opened = _open(account, order, effect.opens, price, quote, fill_id) if effect.opens else None
    gained = _book(account, reductions)
    row = account.ledger.append(
        "ORDER_FILL",
        orderID=str(order.id),
        clientOrderID=order.client_id or None,
        instrument=order.instrument,
        units=text(effect.units),
        **_factors(account, order.instrument),
        price=account.price(order.instrument, price),
        fullVWAP=account.price(order.instrument, price),
        fullPrice=full_price(account, quote),
        reason=reason,
        pl=account.money(gained),
        financing=account.money(ZERO),
        commission=account.money(ZERO),
        guaranteedExecutionFee=account.money(ZERO),
        accountBalance=account.money(account.book.balance),
        halfSpreadCost=half_spread_cost(account, quote, effect.units),
        tradeOpened=opened,
        tradesClosed=[p.wire for p in reductions if not p.trade.open] or None,
        tradeReduced=next((p.wire for p in reductions if p.trade.open), None),
    )
    _end(account, order, row)
    _tend_dependents(account, order, reductions, row)
    return row


def _book(account: Account, reductions: list[_Reduction]) -> Decimal:
    """Add what was gained to the balance."""
    gained = sum((part.pl for part in reductions), ZERO)
    account.book.balance += gained
    account.book.pl += gained
    account.book.last_fill_ns = account.now_ns
    return gained


def _tend_dependents(
    account: Account, order: Order, reductions: list[_Reduction], row: Row
) -> None:
    """Cancel those of closed trades, create those that the order asked for."""
    for part in reductions:
        if not part.trade.open:
            dependents.cancel_all(account, part.trade, row["id"])
    if "tradeOpened" in row:
        dependents.create_on_fill(account, account.book.trades[int(row["id"])], order, row["id"])


class _Reduction(Struct, frozen=True):
    trade: Trade
    pl: Decimal
    wire: dict[str, str]


def _reduce(
    account: Account, trade: Trade, units: Decimal, price: int, quote: Quote, fill_id: int
) -> _Reduction:
    """Close `units` (signed like the fill) of `trade`."""
    point = account.market.instruments[trade.instrument].point
    earned = (price - trade.price) * point * -units
    pl = account.round(account.quote_conversion(trade.instrument).of(earned))
    totals = account.book.totals_of(trade.instrument, trade.units > 0)
    totals.pl += pl
    trade.realized_pl += pl
    trade.closed_units += abs(units)
    trade.closed_value += abs(units) * price
    trade.closing_ids.append(fill_id)
    trade.units += units
    if not trade.units:
        trade.closed_ns = account.now_ns
        del account.book.open_trades[trade.id]
    wire = {
        "tradeID": str(trade.id),
        **({"clientTradeID": trade.client_id} if trade.client_id else {}),
        "units": text(units),
        "price": account.price(trade.instrument, price),
        "realizedPL": account.money(pl),
        "financing": account.money(ZERO),
        "guaranteedExecutionFee": account.money(ZERO),
        "halfSpreadCost": half_spread_cost(account, quote, units),
    }
    return _Reduction(trade, pl, wire)


def _open(
    account: Account, order: Order, units: Decimal, price: int, quote: Quote, fill_id: int
) -> dict[str, Any]:
    extensions = dict(order.wire.get("tradeClientExtensions", {}))
    value = abs(units) * unit_value(account, order.instrument)
    margin = account.round(value * margin_rate(account, order.instrument))
    trade = Trade(
        id=fill_id,
        instrument=order.instrument,
        price=price,
        opened_ns=account.now_ns,
        initial_units=units,
        initial_margin=margin,
        units=units,
        extensions=extensions,
    )
    if not account.book.open_trades:
        account.next_roll_ns = next_roll_ns(account.now_ns)
    account.book.trades[fill_id] = account.book.open_trades[fill_id] = trade
    account.book.totals_of(order.instrument, units > 0)
    return {
        "tradeID": str(fill_id),
        "units": text(units),
        "price": account.price(order.instrument, price),
        "guaranteedExecutionFee": account.money(ZERO),
        **({"clientExtensions": extensions} if extensions else {}),
        "halfSpreadCost": half_spread_cost(account, quote, units),
        "initialMarginRequired": account.money(margin),
    }


def _end(account: Account, order: Order, row: Row) -> None:
    """`order` is filled by `row`."""
    opened, reduced = row.get("tradeOpened"), row.get("tradeReduced")
    closed = [part["tradeID"] for part in row.get("tradesClosed", ())]
    order.state = "FILLED"
    order.ending = {
        "fillingTransactionID": row["id"],
        "filledTime": row["time"],
        **({"tradeOpenedID": opened["tradeID"]} if opened else {}),
        **({"tradeReducedID": reduced["tradeID"]} if reduced else {}),
        **({"tradeClosedIDs": closed} if closed else {}),
    }
    account.retire(order)


def half_spread_cost(account: Account, quote: Quote, units: Decimal) -> str:
    """Half the spread on `units`, in the home currency."""
    point = account.market.instruments[quote.instrument].point
    cost = quote.spread * point * abs(units) / 2
    return account.money(cost * account.quote_conversion(quote.instrument).loss)


def full_price(account: Account, quote: Quote) -> dict[str, Any]:
    """The price that a fill happened at, in the spelling of fills: `timestamp`, text liquidity."""
    bid = account.price(quote.instrument, quote.bid)
    ask = account.price(quote.instrument, quote.ask)
    depth = str(account.config.liquidity)
    return {
        "closeoutBid": bid,
        "closeoutAsk": ask,
        "timestamp": format_time(quote.time_ns),
        "bids": [{"price": bid, "liquidity": depth}],
        "asks": [{"price": ask, "liquidity": depth}],
    }


def _factors(account: Account, instrument: str) -> dict[str, Any]:
    """Conversion factors of a fill, in the newer and the older spelling."""
    of_quote = account.quote_conversion(instrument)
    of_base = account.base_conversion(instrument)
    factors = {
        "gainQuoteHome": of_quote.gain,
        "lossQuoteHome": of_quote.loss,
        "gainBaseHome": of_base.gain,
        "lossBaseHome": of_base.loss,
    }
    return {
        "homeConversionFactors": {
            name: {"factor": factor_text(factor)} for name, factor in factors.items()
        },
        "gainQuoteHomeConversionFactor": factor_text(of_quote.gain),
        "lossQuoteHomeConversionFactor": factor_text(of_quote.loss),
    }


def factor_text(factor: Decimal) -> str:
    """A conversion factor with up to twelve decimals."""
    return text(round(factor, 12))
