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
from sepd.simulation.exposure import Holding, correlated, too_much
from sepd.simulation.record import Record

ROUNDING = Decimal("1.001")
_S = 1_000_000_000


def broken(
    intent: OrderIntent,
    entry: Holding,
    held: Sequence[Holding],
    record: Record,
    limits: RiskSettings,
    now_ns: int,
) -> Iterator[str]:
    """Which limits an entry passes.

    Args:
        entry: what the intent asks for, at the price that it was decided on.
        held: what its process must have counted beside it.
        now_ns: when it was committed; `created_ns` is the time of the quote that it answers, a
            moment before it was judged.
    """
    at = intent.checkpoint
    if abs(intent.units) > limits.max_units:
        yield f"{intent.units} units"
    if entry.worth[0] > limits.max_notional * ROUNDING:
        yield f"a notional of {entry.worth[0]}"
    if passed := too_much((*held, entry), record.balances[at], limits, ROUNDING):
        yield passed
    yield from _company(entry, held, limits)
    yield from _losses(at, now_ns, record, limits)
    yield from _pace(intent, record, limits, now_ns)


def _company(entry: Holding, held: Sequence[Holding], limits: RiskSettings) -> Iterator[str]:
    """Positions beside the entry."""
    of_pair = sum(other.pair.name == entry.pair.name for other in held)
    if of_pair >= limits.max_positions_per_instrument:
        yield f"{of_pair} positions of its pair"
    if len(held) >= limits.max_positions:
        yield f"{len(held)} positions"
    together = correlated(entry, held)
    if together >= limits.max_correlated:
        yield f"{together} positions that move with it"


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


def _pace(intent: OrderIntent, record: Record, limits: RiskSettings, now_ns: int) -> Iterator[str]:
    """A restart releases nothing."""
    at = intent.checkpoint
    own = [(time_ns, money) for number, time_ns, money in record.results if number <= at]
    streak = _streak([money for _, money in own])
    if streak >= limits.max_loss_streak:
        last_ns = max(time_ns for time_ns, money in own if money < 0)
        if now_ns - last_ns < limits.cool_down_s * _S:
            yield f"{streak} losses in a row"
    filled = [
        trade.transaction
        for trade in record.fills
        if trade.instrument == intent.instrument and trade.transaction <= at
    ]
    if len(filled) > limits.max_fills_per_hour and filled[-1] > record.unlatched:
        yield f"{len(filled)} fills in an hour"


def _streak(results: Sequence[Decimal]) -> int:
    """Losses since the newest gain."""
    count = 0
    for money in reversed(results):
        if money > 0:
            return count
        count += money < 0
    return count
