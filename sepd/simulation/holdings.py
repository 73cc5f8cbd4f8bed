"""What is open at the broker, at every instant: within the limits, and with a stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from sepd.settings import RiskSettings
from sepd.simulation.exposure import Holding, correlated, too_much
from sepd.venue.account import Account
from sepd.venue.book import Trade

DRIFT = Decimal("1.1")
"""How far prices and balance may carry exposure past a limit that it kept when it was decided."""


def unprotected(account: Account) -> Iterator[str]:
    """Open trades that have no stop."""
    for trade in account.book.open_trades.values():
        if "STOP_LOSS" not in trade.dependents:
            yield f"trade {trade.id} has none"


def excessive(account: Account, limits: RiskSettings, late: set[str]) -> Iterator[str]:
    """Limits that the open trades pass together.

    Args:
        late: names of orders that the broker carried out so late that nobody had to count them.
    """
    trades = [trade for trade in account.book.open_trades.values() if trade.client_id not in late]
    for trade in trades:
        if abs(trade.units) > limits.max_units:
            yield f"trade {trade.id} has {trade.units} units"
    for name, count in Counter(trade.instrument for trade in trades).items():
        if count > limits.max_positions_per_instrument:
            yield f"{count} trades of {name} are open"
    if len(trades) > limits.max_positions:
        yield f"{len(trades)} trades are open"
    if not trades:
        return
    held = [_holding(account, trade) for trade in trades]
    # Whichever was decided last was decided beside all others.
    together = min(correlated(one, held) for one in held)
    if together > limits.max_correlated:
        yield f"{together} trades that move together are open"
    if passed := too_much(held, account.book.balance, limits, DRIFT):
        yield f"{passed} is open"


def _holding(account: Account, trade: Trade) -> Holding:
    pair, quote = account.market.instruments[trade.instrument], account.market.quotes
    newest, point = quote[trade.instrument], pair.point
    return Holding(pair, trade.units, newest.bid * point, newest.ask * point, trade.price * point)
