"""Order requests: JSON from the wire to values; shape only, the rules are in `admission`."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from sepd.domain.time import parse_time
from sepd.errors import InputError
from sepd.venue.errors import invalid, missing

ORDER_KINDS = (
    "MARKET",
    "LIMIT",
    "STOP",
    "MARKET_IF_TOUCHED",
    "TAKE_PROFIT",
    "STOP_LOSS",
    "TRAILING_STOP_LOSS",
)
ON_FILL = {
    "takeProfitOnFill": "TAKE_PROFIT",
    "stopLossOnFill": "STOP_LOSS",
    "trailingStopLossOnFill": "TRAILING_STOP_LOSS",
}
MAX_MAGNITUDE = 20
_FAR_NS = 1 << 62
_EXTENSION_KEYS = ("id", "tag", "comment")


class Details(Struct, frozen=True):
    """A dependent order asked for: `price` xor `distance`, in price units."""

    kind: str
    price: Decimal | None = None
    distance: Decimal | None = None
    tif: str = "GTC"
    gtd_ns: int | None = None
    trigger: str = "DEFAULT"
    extensions: dict[str, str] = {}
    guaranteed: bool = False
    given: frozenset[str] = frozenset()


class OrderRequest(Struct, frozen=True):
    """An order asked for. Prices are in price units; `trade` is a trade specifier."""

    kind: str
    instrument: str = ""
    units: Decimal = Decimal(0)
    price: Decimal | None = None
    bound: Decimal | None = None
    distance: Decimal | None = None
    tif: str = "GTC"
    gtd_ns: int | None = None
    position_fill: str = "DEFAULT"
    trigger: str = "DEFAULT"
    trade: str = ""
    guaranteed: bool = False
    extensions: dict[str, str] | None = None
    trade_extensions: dict[str, str] | None = None
    on_fill: tuple[Details, ...] = ()

    def details(self, kind: str) -> Details | None:
        """The dependent order of `kind` asked for on fill."""
        return next((item for item in self.on_fill if item.kind == kind), None)


def parse_order(body: object) -> OrderRequest:
    """The `order` object of a create or replace request.

    Raises:
        Refusal: it is not an object, a required field is absent, or a value has the wrong type.
    """
    order = _order_object(body)
    kind = _word(order, "type", "MARKET")
    return OrderRequest(
        kind=kind,
        instrument=_word(order, "instrument", ""),
        units=decimal(order, "units") or Decimal(0),
        price=decimal(order, "price"),
        bound=decimal(order, "priceBound"),
        distance=decimal(order, "distance"),
        tif=_word(order, "timeInForce", "FOK" if kind == "MARKET" else "GTC"),
        gtd_ns=_time(order, "gtdTime"),
        position_fill=_word(order, "positionFill", "DEFAULT"),
        trigger=_word(order, "triggerCondition", "DEFAULT"),
        trade=_trade(order),
        guaranteed=order.get("guaranteed") is True,
        extensions=extensions(order, "clientExtensions"),
        trade_extensions=extensions(order, "tradeClientExtensions"),
        on_fill=tuple(
            parse_details(order[key], kind_on_fill, key)
            for key, kind_on_fill in ON_FILL.items()
            if order.get(key) is not None
        ),
    )


def _order_object(body: object) -> dict[str, Any]:
    """The `order` of a request, of a known type and with what that type cannot do without."""
    if not isinstance(body, dict) or not isinstance(order := body.get("order"), dict):
        raise missing("order")
    kind = _word(order, "type", "MARKET")
    if kind not in ORDER_KINDS:
        raise invalid("order.type")
    if kind not in ON_FILL.values():
        if not _word(order, "instrument", ""):
            raise missing("order.instrument")
        if order.get("units") is None:
            raise missing("order.units")
    if order.get("guaranteedStopLossOnFill") is not None:
        # Leaving it out would open a trade without the stop that was asked for.
        raise invalid("order.guaranteedStopLossOnFill")
    return order


def parse_details(body: object, kind: str, name: str) -> Details:
    """Details of a dependent order.

    Raises:
        Refusal: `body` is not an object or a value has the wrong type.
    """
    if not isinstance(body, dict):
        raise invalid(name)
    return Details(
        kind=kind,
        price=decimal(body, "price"),
        distance=decimal(body, "distance"),
        tif=_word(body, "timeInForce", "GTC"),
        gtd_ns=_time(body, "gtdTime"),
        trigger=_word(body, "triggerCondition", "DEFAULT"),
        extensions=extensions(body, "clientExtensions") or {},
        guaranteed=body.get("guaranteed") is True,
        given=frozenset(key for key, value in body.items() if value is not None),
    )


def decimal(body: dict[str, Any], name: str) -> Decimal | None:
    """A decimal given as text or as a JSON number; None where it is absent.

    Raises:
        Refusal: it is neither, or not finite.
    """
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise invalid(name)
    try:
        number = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):
        raise invalid(name) from None
    if not number.is_finite() or abs(number.adjusted()) > MAX_MAGNITUDE:
        raise invalid(name)
    return number


def extensions(body: dict[str, Any], name: str) -> dict[str, str] | None:
    """Client extensions, unknown keys left out; None where they are absent.

    Raises:
        Refusal: they are not an object of texts.
    """
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid(name)
    kept = {key: value[key] for key in _EXTENSION_KEYS if value.get(key) is not None}
    if not all(isinstance(item, str) for item in kept.values()):
        raise invalid(name)
    return kept


def whole(text: str | None, name: str) -> int:
    """A whole number of at most 18 digits.

    Raises:
        Refusal: it is absent or something else.
    """
    if text is None:
        raise missing(name)
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise invalid(name)
    return int(text)


def _word(body: dict[str, Any], name: str, default: str) -> str:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise invalid(name)
    return value


def _time(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    return None if value is None else parse_instant(str(value), name)


def parse_instant(value: str, name: str) -> int:
    """RFC 3339 or UNIX seconds with a fraction, as ns.

    Raises:
        Refusal: it is neither.
    """
    try:
        if value.replace(".", "", 1).isdecimal() and value.isascii():
            whole, _, fraction = value.partition(".")
            instant = int(whole or 0) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
        else:
            instant = parse_time(value.replace("+00:00", "Z"))
    except (InputError, ValueError, OverflowError):
        raise invalid(name) from None
    if abs(instant) >= _FAR_NS:
        raise invalid(name)
    return instant


def _trade(order: dict[str, Any]) -> str:
    """The trade specifier of a dependent order."""
    if order.get("tradeID") is not None:
        return str(order["tradeID"])
    named = order.get("clientTradeID")
    return f"@{named}" if named else ""
