"""The limits of the risk gate, computed anew for every entry from the broker's own record.

An entry names its checkpoint: the newest transaction that was known when it was decided. What
the broker's record holds up to there is what the gate must have respected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from sepd.domain.order import OrderIntent
from sepd.risk.day import trading_day
from sepd.settings import RiskSettings
from sepd.venue.ledger import Row

_S = 1_000_000_000


class Record:
    """The broker's record as a trader reads it.

    Attributes:
        results: transaction id, time and money of every fill that closed something.
        fills: transaction id and time of every fill that opened a trade.
        unlatched: the newest transaction when an operator last released what was latched off.
    """

    def __init__(self, balance: Decimal) -> None:
        self.balances: list[Decimal] = [balance]
        self.days: list[str] = [""]
        self.unlatched = 0
        self.results: list[tuple[int, int, Decimal]] = []
        self.fills: list[tuple[int, int]] = []

    def add(self, row: Row, time_ns: int) -> None:
        """Read the next row."""
        number = int(row["id"])
        balance = row.get("accountBalance")
        self.balances.append(Decimal(balance) if balance else self.balances[-1])
        self.days.append(trading_day(time_ns))
        if row["type"] != "ORDER_FILL":
            return
        if "tradeOpened" in row:
            self.fills.append((number, time_ns))
        if "tradesClosed" in row or "tradeReduced" in row:
            self.results.append((number, time_ns, Decimal(row["pl"])))


def broken(
    intent: OrderIntent,
    price: Decimal,
    margin_rate: Decimal,
    record: Record,
    limits: RiskSettings,
    since: int,
) -> Iterator[str]:
    """Which limits an entry passes.

    Args:
        price: home value of one unit; `margin_rate` is the part of it that is margin.
        since: transaction that the deciding process recovered at; some limits count from there.
    """
    at, now_ns = intent.checkpoint, intent.created_ns
    balance = record.balances[at]
    value = abs(intent.units) * price
    if abs(intent.units) > limits.max_units:
        yield f"{intent.units} units"
    if value > limits.max_notional * Decimal("1.001"):
        yield f"a notional of {value}"
    # The equity that the gate used holds open results too; there are none beside this entry.
    room = balance * Decimal("1.001")
    leverage = min(limits.max_gross_leverage, limits.max_net_leverage, limits.max_currency_leverage)
    if value > leverage * room:
        yield f"an exposure of {value} with {balance}"
    if value * margin_rate > limits.max_margin_use * room:
        yield f"a margin of {value * margin_rate} with {balance}"
    yield from _losses(at, now_ns, record, limits)
    yield from _pace(at, now_ns, record, limits, since)


def _losses(at: int, now_ns: int, record: Record, limits: RiskSettings) -> Iterator[str]:
    """The first two transactions fund the account."""
    balance = record.balances[at]
    high = max(record.balances[2 : at + 1], default=balance)
    if high - balance > limits.max_drawdown * high:
        yield f"a drawdown from {high} to {balance}"
    today = trading_day(now_ns)
    before = [number for number in range(2, at + 1) if record.days[number] < today]
    opening = record.balances[before[-1] if before else 2]
    if opening - balance > limits.max_daily_loss * opening:
        yield f"a loss of {opening - balance} today"


def _pace(at: int, now_ns: int, record: Record, limits: RiskSettings, since: int) -> Iterator[str]:
    own = [(time_ns, money) for number, time_ns, money in record.results if since < number <= at]
    streak = _streak([money for _, money in own])
    if streak >= limits.max_loss_streak:
        last_ns = max(time_ns for time_ns, money in own if money < 0)
        if now_ns - last_ns < limits.cool_down_s * _S:
            yield f"{streak} losses in a row"
    own_fills = [number for number, _ in record.fills if since < number <= at]
    again = [number for number in own_fills if number > record.unlatched]
    if len(own_fills) > limits.max_fills_per_hour and again:
        yield f"{len(own_fills)} fills in an hour"


def _streak(results: Sequence[Decimal]) -> int:
    """Losses since the newest gain."""
    count = 0
    for money in reversed(results):
        if money > 0:
            return count
        count += money < 0
    return count
