"""Take profit, stop loss and trailing stop: orders that live and die with their trade."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sepd.domain.time import format_time
from sepd.venue.account import Account
from sepd.venue.book import DEPENDENTS, Order, Trade
from sepd.venue.ledger import Row
from sepd.venue.money import text
from sepd.venue.requests import ON_FILL, Details, parse_details


def details_wire(account: Account, details: Details, instrument: str) -> dict[str, Any]:
    """Dependent-order details as the wire spells them in rows and orders."""
    digits = account.market.instruments[instrument].display_precision
    return {
        **({} if details.price is None else {"price": price_text(details.price, digits)}),
        **({} if details.distance is None else {"distance": price_text(details.distance, digits)}),
        "timeInForce": details.tif,
        **({} if details.gtd_ns is None else {"gtdTime": format_time(details.gtd_ns)}),
        **({} if details.trigger == "DEFAULT" else {"triggerCondition": details.trigger}),
        **({"clientExtensions": details.extensions} if details.extensions else {}),
    }


def price_text(price: Decimal, digits: int) -> str:
    """`price` with `digits` decimals, or with its own where it has more (a rejected one)."""
    exponent = price.normalize().as_tuple().exponent
    own = -exponent if isinstance(exponent, int) else 0
    return f"{price:.{digits}f}" if own <= digits else text(price)


def create(
    account: Account, trade: Trade, details: Details, reason: str, **fields: str | None
) -> tuple[Order, Row]:
    """Write the order row and put the order beside its trade."""
    wire = {
        "tradeID": str(trade.id),
        **details_wire(account, details, trade.instrument),
        "triggerCondition": details.trigger,
    }
    if trade.client_id:
        wire["clientTradeID"] = trade.client_id
    instrument = account.market.instruments[trade.instrument]
    price = None if details.price is None else instrument.to_points(details.price)
    distance = None if details.distance is None else instrument.to_points(details.distance)
    if details.kind == "STOP_LOSS" and distance is not None:
        price = trade.price - distance if trade.units > 0 else trade.price + distance
        wire["price"] = account.price(trade.instrument, price)
    row = account.ledger.append(f"{details.kind}_ORDER", **wire, reason=reason, **fields)
    if fields.get("replacesOrderID"):
        wire["replacesOrderID"] = fields["replacesOrderID"]
    order = Order(
        id=int(row["id"]),
        kind=details.kind,
        created_ns=account.now_ns,
        wire=wire,
        instrument=trade.instrument,
        price=price,
        distance=distance,
        tif=details.tif,
        gtd_ns=details.gtd_ns,
        trigger=details.trigger,
        trade_id=trade.id,
    )
    if details.kind == "TRAILING_STOP_LOSS":
        order.trailing = _first_trailing(account, trade, distance or 0)
    account.book.orders[order.id] = account.book.pending[order.id] = order
    trade.dependents[details.kind] = order.id
    return order, row


def _first_trailing(account: Account, trade: Trade, distance: int) -> int:
    quote = account.market.quotes[trade.instrument]
    return quote.bid - distance if trade.units > 0 else quote.ask + distance


def create_on_fill(account: Account, trade: Trade, order: Order, fill_id: str) -> list[Row]:
    """The dependents that `order` asked for, now that it opened `trade`."""
    rows = []
    for name, kind in ON_FILL.items():
        if name in order.wire:
            details = parse_details(order.wire[name], kind, name)
            _, row = create(account, trade, details, "ON_FILL", orderFillTransactionID=fill_id)
            rows.append(row)
    return rows


def cancel_all(account: Account, trade: Trade, fill_id: str) -> list[Row]:
    """Cancel what still guards a closed trade."""
    ids = [trade.dependents[kind] for kind in DEPENDENTS if kind in trade.dependents]
    return [
        account.cancel(
            account.book.orders[order_id],
            "LINKED_TRADE_CLOSED",
            closedTradeID=str(trade.id),
            tradeCloseTransactionID=fill_id,
        )
        for order_id in ids
    ]
