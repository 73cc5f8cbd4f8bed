"""Closing trades and positions: reduce-only market orders made on the client's behalf."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sepd.venue.account import Account
from sepd.venue.admission import places
from sepd.venue.book import Order, Trade
from sepd.venue.ledger import Row
from sepd.venue.money import ZERO, text
from sepd.venue.orders import Outcome, related, work


def close_trade(account: Account, specifier: str, units: str) -> Outcome:
    """Close all of a trade (`ALL`) or a positive number of its units."""
    first = account.ledger.last_id + 1
    trade = account.book.find_trade(specifier)
    named = {"clientTradeID": specifier[1:]} if specifier[0] == "@" else {"tradeID": specifier}
    if trade is not None:
        named = {"tradeID": str(trade.id)}
        if trade.client_id:
            named["clientTradeID"] = trade.client_id
    closing = {**named, "units": units}
    if rejected := _close_reason(account, trade, units):
        row = _market_row(account, None, ZERO, "TRADE_CLOSE", rejected, tradeClose=closing)
        return Outcome({"orderRejectTransaction": row}, related(account, first), rejected)
    assert trade is not None
    amount = abs(trade.units) if units == "ALL" else Decimal(units)
    rows = close_rows(
        account, trade, -amount.copy_sign(trade.units), "TRADE_CLOSE", tradeClose=closing
    )
    return Outcome(rows, related(account, first))


def close_rows(
    account: Account, trade: Trade, units: Decimal, reason: str, **fields: Any
) -> dict[str, Row]:
    """Write and work the market order that takes `units` (signed) off `trade`."""
    row = _market_row(account, trade.instrument, units, reason, None, **fields)
    order = _market_order(account, row, trade.instrument, units, fields)
    order.trade_id = trade.id
    return {"orderCreateTransaction": row, **work(account, order)}


def _close_reason(account: Account, trade: Trade | None, units: str) -> str | None:
    if trade is None or not trade.open:
        return "TRADE_DOESNT_EXIST"
    if units == "ALL":
        return None
    amount = Decimal(units)
    if amount <= 0 or places(amount) > _unit_places(account, trade.instrument):
        return "UNITS_INVALID"
    return "CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE" if amount > abs(trade.units) else None


def _unit_places(account: Account, instrument: str) -> int:
    return account.market.instruments[instrument].trade_units_precision


def close_position(
    account: Account, instrument: str, sides: dict[str, tuple[str, dict[str, str] | None]]
) -> Outcome:
    """Close sides of a position; `sides` maps `long` and `short` to units and extensions.

    One side that is not there fails the whole request.
    """
    first = account.ledger.last_id + 1
    wanted = {name: given for name, given in sides.items() if given[0] != "NONE"}
    reasons = {
        name: reason
        for name, (units, _) in wanted.items()
        if (reason := _position_reason(account, instrument, name == "long", units))
    }
    if reasons or not wanted:
        return _reject_position(account, instrument, wanted, reasons, first)
    rows: dict[str, Row] = {}
    for name, (units, extensions) in wanted.items():
        made = _close_side(account, instrument, name, units, extensions)
        rows |= {f"{name}O{key[1:]}": row for key, row in made.items()}
    return Outcome(rows, related(account, first))


def _reject_position(
    account: Account,
    instrument: str,
    wanted: dict[str, tuple[str, dict[str, str] | None]],
    reasons: dict[str, str],
    first: int,
) -> Outcome:
    rejected = next(iter(reasons.values()), "CLOSEOUT_POSITION_INCOMPLETE_SPECIFICATION")
    rows: dict[str, Row] = {}
    for name, reason in reasons.items():
        closeout = {"instrument": instrument, "units": wanted[name][0]}
        rows[f"{name}OrderRejectTransaction"] = _market_row(
            account,
            instrument,
            ZERO,
            "POSITION_CLOSEOUT",
            reason,
            **{f"{name}PositionCloseout": closeout},
        )
    return Outcome(rows, related(account, first), rejected)


def _position_reason(account: Account, instrument: str, long: bool, units: str) -> str | None:
    held = abs(sum((t.units for t in account.book.trades_of(instrument, long)), ZERO))
    if not held:
        return "CLOSEOUT_POSITION_DOESNT_EXIST"
    if units == "ALL":
        return None
    amount = Decimal(units)
    if amount <= 0 or places(amount) > _unit_places(account, instrument):
        return "UNITS_INVALID"
    return "CLOSEOUT_POSITION_UNITS_EXCEED_POSITION_SIZE" if amount > held else None


def _close_side(
    account: Account, instrument: str, name: str, units: str, extensions: dict[str, str] | None
) -> dict[str, Row]:
    held = sum((t.units for t in account.book.trades_of(instrument, name == "long")), ZERO)
    amount = -held if units == "ALL" else -Decimal(units).copy_sign(held)
    fields: dict[str, Any] = {
        f"{name}PositionCloseout": {"instrument": instrument, "units": units},
        "clientExtensions": extensions,
    }
    row = _market_row(account, instrument, amount, "POSITION_CLOSEOUT", None, **fields)
    order = _market_order(account, row, instrument, amount, fields)
    return {"orderCreateTransaction": row, **work(account, order)}


def _market_row(
    account: Account,
    instrument: str | None,
    units: Decimal,
    reason: str,
    rejected: str | None,
    **fields: Any,
) -> Row:
    return account.ledger.append(
        "MARKET_ORDER_REJECT" if rejected else "MARKET_ORDER",
        instrument=instrument,
        units=text(units) if units else None,
        timeInForce="FOK",
        positionFill="REDUCE_ONLY",
        reason=reason,
        **fields,
        rejectReason=rejected,
    )


def _market_order(
    account: Account, row: Row, instrument: str, units: Decimal, fields: dict[str, Any]
) -> Order:
    wire = {
        "instrument": instrument,
        "units": text(units),
        "timeInForce": "FOK",
        "positionFill": "REDUCE_ONLY",
        **{key: value for key, value in fields.items() if value is not None},
    }
    return Order(
        id=int(row["id"]),
        kind="MARKET",
        created_ns=account.now_ns,
        wire=wire,
        instrument=instrument,
        units=units,
        tif="FOK",
        position_fill="REDUCE_ONLY",
    )
