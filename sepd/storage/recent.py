"""What happened lately on an account: where the limits of pace go on after a restart.

Both stores count back from the newest row instead of from a clock, so that they answer alike and
a long absence changes nothing: what is older than that cannot be within the limits' windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import asyncpg

from sepd.domain.order import OrderIntent, Purpose
from sepd.ports import Recent, RecentFill
from sepd.storage.lines import Trade
from sepd.storage.queries import QUERIES
from sepd.storage.rows import to_ns

MINUTE_NS = 60 * 1_000_000_000
# The hour before every fill of the newest hour: of a pair that was latched off, only orders that
# were under way still fill, and none is under way for an hour.
FILLS_NS = 120 * MINUTE_NS

Result = tuple[int, int, Decimal]


async def read_recent(connection: asyncpg.Connection, account_id: str, released: int) -> Recent:
    """Lately, by the tables.

    Args:
        released: newest transaction when an operator last released what was latched off.
    """
    entries = await connection.fetch(QUERIES["recent_entries"], account_id)
    fills = await connection.fetch(QUERIES["recent_fills"], account_id)
    losses = await connection.fetchrow(QUERIES["loss_streak"], account_id)
    return Recent(
        sent_ns=tuple(row["created_ns"] for row in entries),
        fills=tuple(
            RecentFill(row["trade_id"], row["pair"], to_ns(row["opened"])) for row in fills
        ),
        released=released,
        loss_streak=losses["losses"],
        last_loss_ns=losses["last_loss_ns"],
    )


def recent_of(
    intents: Iterable[OrderIntent],
    trades: Iterable[Trade],
    results: Iterable[Result],
    released: int,
) -> Recent:
    """Lately, by the same words, from everything that an account ever had.

    Args:
        results: transaction id, time and money of every fill that gained or lost.
    """
    sent = sorted(intent.created_ns for intent in intents if intent.purpose is Purpose.ENTRY)
    ours = sorted((trade for trade in trades if trade.intent_id), key=lambda trade: trade.trade_id)
    fills = [RecentFill(t.trade_id, t.instrument, t.opened_ns // 1000 * 1000) for t in ours]
    newest: dict[str, int] = {}
    for fill in fills:
        newest[fill.instrument] = max(newest.get(fill.instrument, 0), fill.time_ns)
    losses: list[int] = []
    for _, time_ns, money in sorted(results):
        if money > 0:
            losses.clear()
        else:
            losses.append(time_ns)
    return Recent(
        sent_ns=tuple(time_ns for time_ns in sent if time_ns > sent[-1] - MINUTE_NS),
        fills=tuple(f for f in fills if f.time_ns > newest[f.instrument] - FILLS_NS),
        released=released,
        loss_streak=len(losses),
        last_loss_ns=max(losses, default=0),
    )
