"""What time and prices do to the account by themselves: expiry, financing, margin calls.

Financing follows the recorded rows: units × annual rate ÷ 365 × days, in the base currency, then
converted; a charge at the loss factor, a credit at the gain factor.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sepd.domain.time import format_time
from sepd.market.new_york import next_roll_ns, trading_day
from sepd.venue.account import Account
from sepd.venue.book import Order, Trade
from sepd.venue.closing import close_rows
from sepd.venue.config import FinancingRates
from sepd.venue.fills import factor_text
from sepd.venue.market import Conversion
from sepd.venue.money import ONE, ZERO
from sepd.venue.triggers import Watch
from sepd.venue.valuation import margin_rate, position_units, value

_YEAR_DAYS = 365


def deadline(account: Account) -> int | None:
    """The next instant at which something is due; None where nothing waits for time."""
    due = [expiry_ns(order) for order in account.book.pending.values()]
    if account.book.open_trades:
        due.append(account.next_roll_ns)
    known = [instant for instant in due if instant is not None]
    return min(known, default=None)


def expiry_ns(order: Order) -> int | None:
    """When `order` expires by itself: its GTD time, or the end of its trading day."""
    if order.tif == "GTD":
        return order.gtd_ns
    return next_roll_ns(order.created_ns) if order.tif == "GFD" else None


def run_due(account: Account, now_ns: int) -> None:
    """Do all that is due up to `now_ns`, in order of time; a roll before what expires with it."""
    while (instant := deadline(account)) is not None and instant <= now_ns:
        account.now_ns = max(account.now_ns, instant)
        if account.book.open_trades and account.next_roll_ns <= instant:
            _charge_financing(account)
            account.next_roll_ns = next_roll_ns(account.next_roll_ns)
            check_margin(account)
            continue
        for order in list(account.book.pending.values()):
            expires = expiry_ns(order)
            if expires is not None and expires <= instant and order.state == "PENDING":
                account.begin()
                account.cancel(order, "TIME_IN_FORCE_EXPIRED")
    account.now_ns = max(account.now_ns, now_ns)


def _charge_financing(account: Account) -> None:
    weekday = trading_day(account.next_roll_ns - 1).weekday()
    positions = []
    for name in dict.fromkeys(trade.instrument for trade in account.book.open_trades.values()):
        charged = _position_financing(account, name, weekday)
        if charged is not None:
            positions.append(charged)
    if not positions:
        return
    total = sum((Decimal(item["financing"]) for item in positions), ZERO)
    account.book.balance += total
    account.book.financing += total
    account.begin()
    account.ledger.append(
        "DAILY_FINANCING",
        financing=account.money(total),
        accountBalance=account.money(account.book.balance),
        accountFinancingMode="DAILY",
        positionFinancings=positions,
    )


def _position_financing(account: Account, instrument: str, weekday: int) -> dict[str, Any] | None:
    rates = account.config.financing.get(instrument, FinancingRates())
    days = rates.days[weekday]
    if not days or (not rates.long_rate and not rates.short_rate):
        return None
    factors = account.base_conversion(instrument)
    parts = []
    total = ZERO
    for trade in account.book.trades_of(instrument):
        amount = account.round(factors.of(base_financing(trade, rates) * days))
        trade.financing += amount
        account.book.totals_of(instrument, trade.units > 0).financing += amount
        total += amount
        parts.append({"tradeID": str(trade.id), "financing": account.money(amount)})
    return {
        "instrument": instrument,
        "financing": account.money(total),
        "openTradeFinancings": parts,
        "homeConversionFactors": _factor_fields(factors),
    }


def base_financing(trade: Trade, rates: FinancingRates) -> Decimal:
    """One day's financing of `trade` in its base currency, not rounded."""
    rate = rates.long_rate if trade.units > 0 else rates.short_rate
    return abs(trade.units) * rate / _YEAR_DAYS


def _factor_fields(factors: Conversion) -> dict[str, Any]:
    return {
        "gainBaseHome": {"factor": factor_text(factors.gain)},
        "lossBaseHome": {"factor": factor_text(factors.loss)},
    }


def check_margin(account: Account) -> None:
    """Enter or leave a margin call; at the close-out level close every trade that can trade."""
    if not account.book.open_trades and account.margin_call_ns is None:
        return
    worth = value(account)
    called = worth.call_percent >= ONE
    if called != (account.margin_call_ns is not None):
        account.begin()
        account.ledger.append("MARGIN_CALL_ENTER" if called else "MARGIN_CALL_EXIT")
        account.margin_call_ns = account.now_ns if called else None
    if worth.closeout_percent >= ONE:
        _close_out(account)


def _close_out(account: Account) -> None:
    for trade in list(account.book.open_trades.values()):
        if trade.open and not account.halted(trade.instrument):
            account.begin()
            reason = {"reason": "MARGIN_CHECK_VIOLATION"}
            close_rows(account, trade, -trade.units, "MARGIN_CLOSEOUT", marginCloseout=reason)
    if account.margin_call_ns is not None and not account.book.open_trades:
        check_margin(account)


def margin_call_fields(account: Account) -> dict[str, Any]:
    """Account fields of a margin call, none outside of one."""
    if account.margin_call_ns is None:
        return {}
    return {
        "marginCallEnterTime": format_time(account.margin_call_ns),
        "marginCallExtensionCount": 0,
    }


def watch_margin(account: Account, instrument: str) -> Watch | None:
    """Prices between which no margin call can begin; None where nothing hangs on `instrument`.

    Half the slack is shared out to the instruments that are held: as long as each stays in its
    range, together they cannot use it up. Wherever that is not simple, every quote is seen.
    """
    held = dict.fromkeys(trade.instrument for trade in account.book.open_trades.values())
    rules = account.market.instruments
    home = account.config.home_currency
    foreign = [rules[name].quote for name in held if rules[name].quote != home]
    if foreign:
        pairs = set(held).union(*map(account.market.conversion_pairs, foreign))
        return Watch(every=True) if instrument in pairs else None
    if instrument not in held:
        return None
    worth = value(account)
    slack = worth.closeout_nav - worth.margin_used
    if account.margin_call_ns is not None or slack <= ONE:
        return Watch(every=True)
    gross = sum((abs(trade.units) for trade in account.book.trades_of(instrument)), ZERO)
    per_point = rules[instrument].point * (
        gross + position_units(account, instrument) * margin_rate(account, instrument)
    )
    reach = int(slack / 2 / len(held) / per_point)
    quote = account.market.quotes[instrument]
    return Watch(quote.bid - reach, quote.bid + reach, quote.ask - reach, quote.ask + reach)
