"""The risk gate: the last thing before an intent.

`assess` answers an entry with `Accepted` or `Refused`; a refusal is a value with a reason code.
Exits are judged by `assess_exit`, which no limit can close.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import Struct

from sepd.domain.market import Quote
from sepd.domain.time import NS_PER_S
from sepd.ports import DayLedger
from sepd.risk import size_rules, standing_rules
from sepd.risk.book import Book
from sepd.risk.exposure import Valuation
from sepd.risk.reason import Reason
from sepd.risk.session import held_over_close
from sepd.risk.situation import EntryRequest, Proposal, Standing, standing_of
from sepd.risk.sizing import (
    risk_fraction,
    round_units,
    stop_points,
    target_points,
    units_at_risk,
)
from sepd.settings import RiskSettings

_encode = msgspec.json.Encoder().encode
WEEK_NS = 7 * 86_400 * NS_PER_S


class Accepted(Struct, frozen=True, gc=False):
    """An entry that passed every rule: the fields of its intent; prices are points.

    `snapshot` is what the gate saw, as canonical JSON (`RiskSnapshot`).
    """

    units: Decimal
    price_bound: int
    stop_loss: int
    take_profit: int
    snapshot: bytes


class Refused(Struct, frozen=True, gc=False):
    """An entry or exit that may not be sent, and what the gate saw."""

    reason: Reason
    snapshot: bytes = b""


class RiskSnapshot(Struct, frozen=True, gc=False):
    """What a verdict rested on; money is in home currency."""

    now_ns: int
    reason: Reason
    balance: Decimal
    day: DayLedger
    positions: int
    pending: int
    last_transaction_id: int
    quote: Quote | None = None
    units: Decimal | None = None
    stop_loss: int | None = None
    risk: Decimal | None = None


def assess(request: EntryRequest, book: Book, limits: RiskSettings) -> Accepted | Refused:
    """Judge an entry. Nothing is changed; the caller reserves the intent it makes of it.

    Raises:
        ValueError: the signal asks to close.
    """
    standing = standing_of(request, book, limits)
    if not standing.sign:
        raise ValueError("A CLOSE signal is judged by assess_exit.")
    for rule in standing_rules.RULES:
        reason = rule(standing)
        if reason:
            return Refused(reason, _snapshot(standing, reason))
    proposal = _propose(standing)
    if isinstance(proposal, Reason):
        return Refused(proposal, _snapshot(standing, proposal))
    for check in size_rules.RULES:
        reason = check(proposal)
        if reason:
            return Refused(reason, _snapshot(standing, reason, proposal))
    return Accepted(
        units=proposal.units,
        price_bound=proposal.price_bound,
        stop_loss=proposal.stop_loss,
        take_profit=proposal.take_profit,
        snapshot=_snapshot(standing, Reason.ACCEPTED, proposal),
    )


def assess_exit(trade_id: int, book: Book) -> Refused | None:
    """None where this trade may be closed: it is open and no exit of it is under way."""
    if trade_id not in book.trades:
        return Refused(Reason.NOTHING_TO_CLOSE)
    if book.exits(trade_id):
        return Refused(Reason.EXIT_PENDING)
    return None


def _propose(at: Standing) -> Proposal | Reason:
    """Entry price, bound, stop, target and size of the trade that the request means."""
    book, limits, request, sign, terms = at.book, at.limits, at.request, at.sign, at.terms
    pair = terms.pair
    valuation = Valuation(book, at.now_ns - terms.conversion_age_ns, limits.conversion_markup)
    home_per_quote = valuation.rate(pair.quote)
    if home_per_quote is None:
        return Reason.NO_CONVERSION
    entry = at.quote.ask if sign > 0 else at.quote.bid
    stop, target, bound = _distances(at)
    worst = int(stop * _slip(at)) + bound
    fraction = risk_fraction(request.signal.confidence, limits)
    if not fraction:
        return Reason.NO_EDGE
    if request.units is None:
        sized = units_at_risk(book.balance * fraction, worst, home_per_quote, pair)
        units = min(sized, terms.cap)
    else:
        units = round_units(request.units, pair)
    return Proposal(
        standing=at,
        valuation=valuation,
        units=sign * units,
        entry=entry,
        price_bound=entry + sign * bound,
        stop_loss=entry - sign * stop,
        take_profit=entry + sign * target,
        risk=units * worst * pair.point * home_per_quote,
    )


def _distances(at: Standing) -> tuple[int, int, int]:
    """Points from the entry to stop, target and bound: further away where prices move much."""
    terms, moved = at.terms, at.request.volatility_points
    if not moved:
        return terms.stop, terms.target, terms.bound
    stop = stop_points(terms.pair, at.limits, moved)
    return stop, target_points(stop, at.limits), terms.bound


def _slip(at: Standing) -> Decimal:
    """How many times its distance a stop may slip: more where the market may close meanwhile."""
    calendar = at.book.calendar
    if calendar is None:
        return Decimal(1)
    until = at.request.exit_by_ns or at.now_ns + WEEK_NS
    over = held_over_close(calendar, at.instrument, at.now_ns, until)
    return at.limits.weekend_gap if over else Decimal(1)


def _snapshot(at: Standing, reason: Reason, proposal: Proposal | None = None) -> bytes:
    book = at.book
    return _encode(
        RiskSnapshot(
            now_ns=at.now_ns,
            reason=reason,
            balance=book.balance,
            day=book.day(at.now_ns),
            positions=len(book.trades),
            pending=len(book.pending),
            last_transaction_id=book.last_transaction_id,
            quote=book.quotes.get(at.instrument),
            units=proposal.units if proposal else None,
            stop_loss=proposal.stop_loss if proposal else None,
            risk=proposal.risk if proposal else None,
        )
    )
