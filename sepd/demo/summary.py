"""What the run of a demo came to."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from sepd.demo.tape import TapeFacts
from sepd.demo.venue import Venue
from sepd.market.rows import RejectedRow
from sepd.node import Node


class Summary(Struct, frozen=True):
    """What the run came to. Money is in the account's currency, exact."""

    tape: str
    tape_rows: int
    rows_rejected: dict[str, int]
    rejected_rows: list[RejectedRow]
    quotes_sent: int
    quotes_in: int
    quotes_stored: int
    events_in: int
    candles_in: int
    candles_stored: int
    signals: int
    last_signal: str | None
    orders: int
    filled: int
    refused: dict[str, int]
    open_positions: int
    realised_pl: Decimal
    trading_results_pl: Decimal
    venue_balance_change: Decimal
    events_per_s: float
    elapsed_s: float
    peak_rss_mb: float
    decisions_sha256: str


async def summarise(
    node: Node, venue: Venue, facts: TapeFacts, opening: Decimal, elapsed_s: float
) -> Summary:
    """Ask node, venue and store; `opening` is the venue's balance before the run."""
    state, report, totals = await venue.state(), node.status(), await node.totals()
    return Summary(
        tape=facts.path.name,
        tape_rows=facts.rows,
        rows_rejected=facts.rejected,
        rejected_rows=facts.rejected_rows,
        quotes_sent=int(state["quotes_sent_total"]),
        quotes_in=report.quotes,
        quotes_stored=totals.ticks,
        events_in=report.events,
        candles_in=sum(sum(one.candles.values()) for one in report.instruments.values()),
        candles_stored=totals.candles,
        signals=report.signals.total,
        last_signal=report.signals.last,
        orders=report.orders.total,
        filled=report.orders.filled,
        refused=report.orders.refused,
        open_positions=len(report.positions),
        realised_pl=report.pl.realised,
        trading_results_pl=totals.trading_results_pl,
        venue_balance_change=Decimal(state["balance"]) - opening,
        events_per_s=round(report.events / elapsed_s, 1),
        elapsed_s=round(elapsed_s, 3),
        peak_rss_mb=_peak_rss_mb(),
        decisions_sha256=node.decisions_sha256,
    )


def _peak_rss_mb() -> float:
    """Most memory this program has held, MB.

    proc(5) VmHWM; getrusage(2) would count what our parent held when it started us.
    """
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0
