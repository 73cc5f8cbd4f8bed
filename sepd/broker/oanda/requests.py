"""Orders as OANDA wants to be asked for them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from sepd.broker.oanda import wire
from sepd.domain.market import Instrument
from sepd.domain.order import OrderIntent, Purpose, TimeInForce
from sepd.domain.time import format_time


class Request(Struct, frozen=True, rename=wire.spelling):
    """Base of what is sent; None means that OANDA's default holds."""


class ExitDetails(Request, frozen=True):
    """A take profit or stop loss of a trade, by price or, for a stop, by distance."""

    price: Decimal | None = None
    distance: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    gtd_time: int | None = None
    client_extensions: wire.Extensions | None = None


class MarketOrder(Request, frozen=True, tag_field="type", tag="MARKET"):
    """Deal at the market, no worse than `price_bound`; `units` are signed."""

    instrument: str
    units: Decimal
    time_in_force: TimeInForce = TimeInForce.FOK
    price_bound: Decimal | None = None
    position_fill: str = "DEFAULT"
    client_extensions: wire.Extensions | None = None
    trade_client_extensions: wire.Extensions | None = None
    take_profit_on_fill: ExitDetails | None = None
    stop_loss_on_fill: ExitDetails | None = None
    trailing_stop_loss_on_fill: ExitDetails | None = None


class RestingOrder(Request, frozen=True):
    """What LIMIT, STOP and MARKET_IF_TOUCHED have in common; `gtd_time` is UTC, ns."""

    instrument: str
    units: Decimal
    price: Decimal
    time_in_force: TimeInForce = TimeInForce.GTC
    gtd_time: int | None = None
    price_bound: Decimal | None = None
    position_fill: str = "DEFAULT"
    trigger_condition: str = "DEFAULT"
    client_extensions: wire.Extensions | None = None
    trade_client_extensions: wire.Extensions | None = None
    take_profit_on_fill: ExitDetails | None = None
    stop_loss_on_fill: ExitDetails | None = None
    trailing_stop_loss_on_fill: ExitDetails | None = None


class LimitOrder(RestingOrder, frozen=True, tag_field="type", tag="LIMIT"):
    """Deal at `price` or better."""


class StopOrder(RestingOrder, frozen=True, tag_field="type", tag="STOP"):
    """Deal once the market is at `price` or worse, no worse than `price_bound`."""


class MarketIfTouchedOrder(RestingOrder, frozen=True, tag_field="type", tag="MARKET_IF_TOUCHED"):
    """Deal at the market once it touches `price` from either side."""


class TradeOrder(Request, frozen=True):
    """What the orders that close a trade have in common."""

    trade_id: int
    price: Decimal | None = None
    distance: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    gtd_time: int | None = None
    trigger_condition: str = "DEFAULT"
    client_extensions: wire.Extensions | None = None


class TakeProfitOrder(TradeOrder, frozen=True, tag_field="type", tag="TAKE_PROFIT"):
    """Close the trade at `price` or better."""


class StopLossOrder(TradeOrder, frozen=True, tag_field="type", tag="STOP_LOSS"):
    """Close the trade at `price`, or `distance` from it, or worse."""


class TrailingStopLossOrder(TradeOrder, frozen=True, tag_field="type", tag="TRAILING_STOP_LOSS"):
    """Close the trade `distance` behind the best price since."""


Order = (
    MarketOrder
    | LimitOrder
    | StopOrder
    | MarketIfTouchedOrder
    | TakeProfitOrder
    | StopLossOrder
    | TrailingStopLossOrder
)


def plain(number: Decimal) -> str:
    """A decimal without exponent, as OANDA reads it."""
    return f"{number:f}"


def body(request: Request | wire.Extensions) -> dict[str, Any]:
    """`request` as JSON values: exact decimals as text, what is None or empty left out."""
    found = msgspec.to_builtins(request, builtin_types=(Decimal,))
    assert isinstance(found, dict)
    return _written(found)


def _written(values: Mapping[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            written[name] = _written(value)
        elif isinstance(value, Decimal):
            written[name] = plain(value)
        elif name == "gtdTime" and value is not None:
            written[name] = format_time(value)
        elif isinstance(value, int):
            written[name] = str(value)
        elif value is not None and value != "":
            written[name] = value
    return written


def close_body(intent: OrderIntent) -> dict[str, Any]:
    """Body that closes `intent.units` of a trade; no units closes all that is left."""
    return {"units": plain(abs(intent.units)) if intent.units else "ALL"}


def order_body(intent: OrderIntent, of: Instrument) -> dict[str, Any]:
    """Body of the market order that `intent` asks for; written out, for it is on the order's path.

    An entry carries the intent's id twice: as the order's id, which a scan of the transactions
    finds, and as the trade's id, which OANDA refuses to open a second time.
    """
    own, entry = {"id": intent.id}, intent.purpose is Purpose.ENTRY
    order: dict[str, Any] = {
        "type": "MARKET",
        "instrument": intent.instrument,
        "units": plain(intent.units),
        "timeInForce": intent.time_in_force,
        "positionFill": "DEFAULT" if entry else "REDUCE_ONLY",
        "clientExtensions": own,
    }
    if intent.price_bound is not None:
        order["priceBound"] = of.price_text(intent.price_bound)
    if entry:
        order["tradeClientExtensions"] = own
        if intent.take_profit is not None:
            order["takeProfitOnFill"] = _exit(of, intent.take_profit)
        if intent.stop_loss is not None:
            order["stopLossOnFill"] = _exit(of, intent.stop_loss)
    return {"order": order}


def _exit(of: Instrument, points: int) -> dict[str, str]:
    return {"price": of.price_text(points), "timeInForce": "GTC"}
