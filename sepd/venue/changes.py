"""What changed in the account since a transaction."""

from __future__ import annotations

from typing import Any

from sepd.venue import views
from sepd.venue.account import Account
from sepd.venue.ledger import Row
from sepd.venue.valuation import trade_margin, unrealized, value


def changes_view(account: Account, since: int) -> dict[str, Any]:
    """`changes` and `state` of the changes call."""
    rows = account.ledger.since(since)
    return {"changes": _changes(account, rows), "state": _state(account)}


def _changes(account: Account, rows: list[Row]) -> dict[str, Any]:
    fills = [row for row in rows if row["type"] == "ORDER_FILL"]
    opened = [row["tradeOpened"]["tradeID"] for row in fills if "tradeOpened" in row]
    reduced = [row["tradeReduced"]["tradeID"] for row in fills if "tradeReduced" in row]
    closed = [part["tradeID"] for row in fills for part in row.get("tradesClosed", ())]
    created = [row["id"] for row in rows if row["type"].endswith("_ORDER")]
    cancelled = [row["orderID"] for row in rows if row["type"] == "ORDER_CANCEL"]
    return {
        "ordersCreated": _orders(account, created),
        "ordersCancelled": _orders(account, cancelled),
        "ordersFilled": _orders(account, [row["orderID"] for row in fills]),
        "ordersTriggered": [],
        "tradesOpened": _trades(account, opened),
        "tradesReduced": _trades(account, reduced),
        "tradesClosed": _trades(account, closed),
        "positions": [
            views.position_view(account, name)
            for name in dict.fromkeys(row["instrument"] for row in fills)
        ],
        "transactions": rows,
    }


def _orders(account: Account, ids: list[str]) -> list[dict[str, Any]]:
    return [views.order_view(account, account.book.orders[int(number)]) for number in ids]


def _trades(account: Account, ids: list[str]) -> list[dict[str, Any]]:
    unique = dict.fromkeys(ids)
    return [views.trade_summary(account, account.book.trades[int(number)]) for number in unique]


def _state(account: Account) -> dict[str, Any]:
    open_positions = views.positions(account, only_open=True)
    return {
        **views.valuation_view(account, value(account)),
        "orders": [
            {
                "id": str(order.id),
                "trailingStopValue": account.price(order.instrument, order.trailing),
            }
            for order in account.book.pending.values()
            if order.trailing is not None
        ],
        "trades": [
            {
                "id": str(trade.id),
                "unrealizedPL": account.money(unrealized(account, trade)),
                "marginUsed": account.money(trade_margin(account, trade)),
            }
            for trade in account.book.open_trades.values()
        ],
        "positions": [
            {
                "instrument": item["instrument"],
                "netUnrealizedPL": item["unrealizedPL"],
                "longUnrealizedPL": item["long"]["unrealizedPL"],
                "shortUnrealizedPL": item["short"]["unrealizedPL"],
                "marginUsed": item["marginUsed"],
            }
            for item in open_positions
        ],
    }
