"""The account's things as JSON objects."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sepd.domain.time import format_time
from sepd.venue.account import Account
from sepd.venue.book import Order, Trade
from sepd.venue.money import ZERO, fixed, text
from sepd.venue.upkeep import margin_call_fields
from sepd.venue.valuation import (
    Valuation,
    position_margin,
    trade_margin,
    unrealized,
    value,
)

Json = dict[str, Any]


def order_view(account: Account, order: Order) -> Json:
    """An order with its state."""
    view: Json = {
        "id": str(order.id),
        "createTime": format_time(order.created_ns),
        "type": order.kind,
        **order.wire,
        **order.ending,
        "state": order.state,
    }
    if order.trailing is not None:
        view["trailingStopValue"] = account.price(order.instrument, order.trailing)
    if order.kind == "MARKET_IF_TOUCHED" and order.initial_price is not None:
        view["initialMarketPrice"] = account.price(order.instrument, order.initial_price // 2)
    return view


def trade_summary(account: Account, trade: Trade) -> Json:
    """A trade with the ids of its dependent orders."""
    view = _trade(account, trade)
    names = {
        "TAKE_PROFIT": "takeProfitOrderID",
        "STOP_LOSS": "stopLossOrderID",
        "TRAILING_STOP_LOSS": "trailingStopLossOrderID",
    }
    return view | {names[kind]: str(order) for kind, order in trade.dependents.items()}


def trade_view(account: Account, trade: Trade) -> Json:
    """A trade with its dependent orders in full."""
    view = _trade(account, trade)
    names = {
        "TAKE_PROFIT": "takeProfitOrder",
        "STOP_LOSS": "stopLossOrder",
        "TRAILING_STOP_LOSS": "trailingStopLossOrder",
    }
    for kind, order_id in trade.dependents.items():
        view[names[kind]] = order_view(account, account.book.orders[order_id])
    return view


def _trade(account: Account, trade: Trade) -> Json:
    view: Json = {
        "id": str(trade.id),
        "instrument": trade.instrument,
        "price": account.price(trade.instrument, trade.price),
        "openTime": format_time(trade.opened_ns),
        "initialUnits": text(trade.initial_units),
        "initialMarginRequired": account.money(trade.initial_margin),
        "state": trade.state,
        "currentUnits": text(trade.units),
        "realizedPL": account.money(trade.realized_pl),
        "financing": account.money(trade.financing),
        "dividendAdjustment": account.money(ZERO),
    }
    if trade.extensions:
        view["clientExtensions"] = trade.extensions
    if trade.closing_ids:
        view["closingTransactionIDs"] = [str(number) for number in trade.closing_ids]
        view["averageClosePrice"] = average(
            account, trade.instrument, trade.closed_value, trade.closed_units
        )
    if trade.open:
        view["unrealizedPL"] = account.money(unrealized(account, trade))
        view["marginUsed"] = account.money(trade_margin(account, trade))
    else:
        assert trade.closed_ns is not None
        view["closeTime"] = format_time(trade.closed_ns)
    return view


def average(account: Account, instrument: str, total: Decimal, units: Decimal) -> str:
    """Average price of `units` that cost `total` points together."""
    rules = account.market.instruments[instrument]
    return fixed(total / units * rules.point, rules.display_precision)


def position_view(account: Account, instrument: str) -> Json:
    """Both sides of a position, all zeros where it is flat."""
    long, short = (_side(account, instrument, is_long) for is_long in (True, False))
    pl = sum((account.book.totals_of(instrument, is_long).pl for is_long in (True, False)), ZERO)
    view: Json = {
        "instrument": instrument,
        "pl": account.money(pl),
        "resettablePL": account.money(pl),
        "unrealizedPL": account.money(
            Decimal(long["unrealizedPL"]) + Decimal(short["unrealizedPL"])
        ),
        "financing": account.money(Decimal(long["financing"]) + Decimal(short["financing"])),
        "commission": account.money(ZERO),
        "dividendAdjustment": account.money(ZERO),
        "guaranteedExecutionFees": account.money(ZERO),
        "long": long,
        "short": short,
    }
    if account.book.trades_of(instrument):
        view["marginUsed"] = account.money(position_margin(account, instrument))
    return view


def _side(account: Account, instrument: str, long: bool) -> Json:
    trades = account.book.trades_of(instrument, long)
    totals = account.book.totals_of(instrument, long)
    units = sum((trade.units for trade in trades), ZERO)
    view: Json = {
        "units": text(units),
        "pl": account.money(totals.pl),
        "resettablePL": account.money(totals.pl),
        "unrealizedPL": account.money(sum((unrealized(account, t) for t in trades), ZERO)),
        "financing": account.money(totals.financing),
        "dividendAdjustment": account.money(ZERO),
        "guaranteedExecutionFees": account.money(ZERO),
    }
    if trades:
        cost = sum((trade.units * trade.price for trade in trades), ZERO)
        view["averagePrice"] = average(account, instrument, cost, units)
        view["tradeIDs"] = [str(trade.id) for trade in trades]
    return view


def positions(account: Account, only_open: bool = False) -> list[Json]:
    """Instruments that were ever traded; flat ones unless `only_open`."""
    names = dict.fromkeys(name for name, _ in account.book.totals)
    return [
        position_view(account, name)
        for name in names
        if not only_open or account.book.trades_of(name)
    ]


def valuation_view(account: Account, worth: Valuation) -> Json:
    """The figures that move with the prices."""
    return {
        "unrealizedPL": account.money(worth.unrealized_pl),
        "NAV": account.money(worth.nav),
        "marginUsed": account.money(worth.margin_used),
        "marginAvailable": account.money(max(worth.margin_available, ZERO)),
        "positionValue": account.money(worth.position_value),
        "marginCloseoutUnrealizedPL": account.money(worth.closeout_unrealized_pl),
        "marginCloseoutNAV": account.money(worth.closeout_nav),
        "marginCloseoutMarginUsed": account.money(worth.margin_used),
        "marginCloseoutPositionValue": account.money(worth.position_value),
        "marginCloseoutPercent": fixed(worth.closeout_percent, 5),
        "withdrawalLimit": account.money(max(worth.margin_available, ZERO)),
        "marginCallMarginUsed": account.money(worth.margin_used),
        "marginCallPercent": fixed(worth.call_percent, 5),
    }


def account_summary(account: Account) -> Json:
    """The account without its trades, positions and orders."""
    book, config = account.book, account.config
    view: Json = {
        "id": config.account_id,
        "alias": account.alias,
        "currency": config.home_currency,
        "balance": account.money(book.balance),
        "createdByUserID": config.user_id,
        "createdTime": format_time(account.created_ns),
        "guaranteedStopLossOrderMode": "DISABLED",
        "pl": account.money(book.pl),
        "resettablePL": account.money(book.pl),
        "resettablePLTime": "0",
        "financing": account.money(book.financing),
        "commission": account.money(ZERO),
        "dividendAdjustment": account.money(ZERO),
        "guaranteedExecutionFees": account.money(ZERO),
        "openTradeCount": len(book.open_trades),
        "openPositionCount": len({trade.instrument for trade in book.open_trades.values()}),
        "pendingOrderCount": len(book.pending),
        "hedgingEnabled": config.hedging,
        **valuation_view(account, value(account)),
        **margin_call_fields(account),
        "lastTransactionID": str(account.ledger.last_id),
    }
    if account.margin_rate is not None:
        view["marginRate"] = text(account.margin_rate)
    if book.last_fill_ns is not None:
        view["lastOrderFillTimestamp"] = format_time(book.last_fill_ns)
    return view


def account_view(account: Account) -> Json:
    """The whole account."""
    book = account.book
    return account_summary(account) | {
        "trades": [trade_summary(account, trade) for trade in book.open_trades.values()],
        "positions": positions(account),
        "orders": [order_view(account, order) for order in book.pending.values()],
    }
