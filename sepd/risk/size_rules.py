"""Rules on a sized entry. Each answers a reason, or None to pass; a limit itself passes."""

from __future__ import annotations

from collections.abc import Callable

from sepd.risk.reason import Reason
from sepd.risk.situation import Proposal

Rule = Callable[[Proposal], Reason | None]


def stop(of: Proposal) -> Reason | None:
    """The stop is a price, and is not hit by the quote as it stands."""
    quote = of.standing.quote
    if of.stop_loss <= 0 or of.take_profit <= 0 or of.price_bound <= 0:
        return Reason.INVALID_STOP
    if of.stop_loss >= quote.bid if of.units > 0 else of.stop_loss <= quote.ask:
        return Reason.STOP_INSIDE_SPREAD
    return None


def units(of: Proposal) -> Reason | None:
    """The broker accepts the size, and so do we."""
    at, pair = of.standing, of.standing.terms.pair
    size = of.units * at.sign
    if size < pair.minimum_trade_size:
        return Reason.TOO_SMALL
    if size > at.terms.most:
        return Reason.TOO_MANY_UNITS
    if not pair.maximum_position_size:
        return None
    same = [abs(units) for name, units in at.held if name == at.instrument]
    return Reason.POSITION_SIZE if sum(same) + size > pair.maximum_position_size else None


def exposure(of: Proposal) -> Reason | None:
    """The order alone, and all positions with it, are bounded: gross, net, currency, margin."""
    limits, name = of.standing.limits, of.standing.instrument
    value = of.valuation.unit_value(name)
    after = of.valuation.exposure((name, of.units))
    equity = of.valuation.equity()
    if value is None or after is None or equity is None:
        return Reason.NO_CONVERSION
    if abs(of.units) * value > limits.max_notional:
        return Reason.NOTIONAL
    if after.gross > limits.max_gross_leverage * equity:
        return Reason.GROSS_EXPOSURE
    if after.net > limits.max_net_leverage * equity:
        return Reason.NET_EXPOSURE
    if after.largest > limits.max_currency_leverage * equity:
        return Reason.CURRENCY_EXPOSURE
    if after.margin > limits.max_margin_use * equity:
        return Reason.INSUFFICIENT_MARGIN
    return None


def losses(of: Proposal) -> Reason | None:
    """Even if everything is stopped today, the day's loss and the drawdown stay within limits."""
    book, limits = of.standing.book, of.standing.limits
    day = book.day(of.standing.now_ns)
    open_risk = of.valuation.at_stops()
    if open_risk is None:
        return Reason.NO_CONVERSION
    at_worst = open_risk + of.risk
    if at_worst - day.realized_pl > limits.max_daily_loss * day.opening_balance:
        return Reason.DAILY_LOSS
    if day.high_water - book.balance + at_worst > limits.max_drawdown * day.high_water:
        return Reason.DRAWDOWN
    return None


RULES: tuple[Rule, ...] = (units, stop, exposure, losses)
