"""What the account is worth at the newest quotes, and its margin.

Unrealised P/L is at the exit side; the close-out figures are at mid prices. A netting account's
position is one side; a hedging account's margin follows its larger side.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from sepd.venue.account import Account
from sepd.venue.book import Trade
from sepd.venue.money import ZERO


class Valuation(Struct, frozen=True):
    """Money in the home currency, booked precision; `closeout_percent` is a plain ratio."""

    unrealized_pl: Decimal
    nav: Decimal
    position_value: Decimal
    margin_used: Decimal
    margin_available: Decimal
    closeout_unrealized_pl: Decimal
    closeout_nav: Decimal
    call_percent: Decimal

    @property
    def closeout_percent(self) -> Decimal:
        """Close-out happens at 1 and above; half the margin-call percentage."""
        return self.call_percent / 2


def unrealized(account: Account, trade: Trade) -> Decimal:
    """P/L if `trade` were closed at the newest quote; 0 before the first."""
    quote = account.market.quotes.get(trade.instrument)
    if quote is None:
        return ZERO
    exit_price = quote.bid if trade.units > 0 else quote.ask
    point = account.market.instruments[trade.instrument].point
    amount = (exit_price - trade.price) * point * trade.units
    return account.round(account.quote_conversion(trade.instrument).of(amount))


def _unrealized_mid(account: Account, trade: Trade) -> Decimal:
    quote = account.market.quotes.get(trade.instrument)
    if quote is None:
        return ZERO
    point = account.market.instruments[trade.instrument].point
    amount = (quote.mid2 - 2 * trade.price) * point * trade.units / 2
    return account.round(account.quote_conversion(trade.instrument).of(amount))


def unit_value(account: Account, instrument: str) -> Decimal:
    """One unit's value in the home currency at mid prices; 0 before the first quote."""
    mid = account.market.mid(instrument)
    return mid * account.quote_conversion(instrument).mid if mid is not None else ZERO


def margin_rate(account: Account, instrument: str) -> Decimal:
    """The instrument's rate, or the account's own where that asks for more."""
    own = account.market.instruments[instrument].margin_rate
    return max(own, account.margin_rate) if account.margin_rate is not None else own


def trade_margin(account: Account, trade: Trade) -> Decimal:
    """Margin that one trade binds by itself."""
    value = abs(trade.units) * unit_value(account, trade.instrument)
    return account.round(value * margin_rate(account, trade.instrument))


def position_units(account: Account, instrument: str) -> Decimal:
    """Units that count for margin: the larger side."""
    trades = account.book.trades_of(instrument)
    long = sum((t.units for t in trades if t.units > 0), ZERO)
    return max(long, long - sum((t.units for t in trades), ZERO))


def position_margin(account: Account, instrument: str) -> Decimal:
    """Margin that the position in `instrument` binds."""
    value = position_units(account, instrument) * unit_value(account, instrument)
    return account.round(value * margin_rate(account, instrument))


def value(account: Account) -> Valuation:
    """The whole account."""
    book = account.book
    names = dict.fromkeys(trade.instrument for trade in book.open_trades.values())
    pl = sum((unrealized(account, trade) for trade in book.open_trades.values()), ZERO)
    mid_pl = sum((_unrealized_mid(account, trade) for trade in book.open_trades.values()), ZERO)
    used = sum((position_margin(account, name) for name in names), ZERO)
    worth = sum(
        (account.round(position_units(account, n) * unit_value(account, n)) for n in names), ZERO
    )
    closeout_nav = book.balance + mid_pl
    return Valuation(
        unrealized_pl=pl,
        nav=book.balance + pl,
        position_value=worth,
        margin_used=used,
        margin_available=book.balance + pl - used,
        closeout_unrealized_pl=mid_pl,
        closeout_nav=closeout_nav,
        call_percent=_percent(used, closeout_nav),
    )


def _percent(used: Decimal, nav: Decimal) -> Decimal:
    """Margin used per net value; with nothing left any margin is too much."""
    if not used:
        return ZERO
    return used / nav if nav > 0 else Decimal(1_000_000)
