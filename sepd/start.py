"""What a node starts from: the same when it lives and when it is replayed."""

from __future__ import annotations

from sepd import __version__
from sepd.bitspace.analyser import Analyser
from sepd.decide import Decider
from sepd.domain.account import AccountSnapshot
from sepd.domain.market import Instrument
from sepd.journal import Started
from sepd.market.calendar import load_calendar
from sepd.ports import Store, StoredState
from sepd.risk.book import Book
from sepd.settings import Settings
from sepd.signals.rule import PolarityRule
from sepd.signals.view import view_market

CLOSED_NS = 3 * 86_400 * 1_000_000_000  # as far as stored closes may lie behind a weekend


async def started_from(
    settings: Settings,
    snapshot: AccountSnapshot,
    state: StoredState,
    instruments: tuple[Instrument, ...],
    store: Store,
    now_ns: int,
) -> Started:
    """All that decisions start from, as the first entry of the journal.

    Raises:
        TransientError: the store is away.
    """
    return Started(
        version=__version__,
        settings=settings.model_dump_json(),
        account_id=snapshot.account_id,
        now_ns=now_ns,
        instruments=instruments,
        snapshot=snapshot,
        state=state,
        closes=await closes_before(settings, store, now_ns),
    )


async def closes_before(settings: Settings, store: Store, now_ns: int) -> dict[str, dict[int, int]]:
    """Stored closes that correlations are measured from, per pair by start; one pair has none."""
    names, count = settings.instruments, settings.risk.correlation_candles
    finest = PolarityRule(settings.rule).finest
    from_ns = max(0, now_ns - count * finest.ns - CLOSED_NS)
    found = {}
    for name in names if len(names) > 1 else ():
        candles = await store.candles(name, finest, from_ns, now_ns)
        found[name] = {candle.time_ns: candle.close2 for candle in candles[-count:]}
    return found


def new_decider(settings: Settings, started: Started, analyser: Analyser | None = None) -> Decider:
    """The decider of a node that starts so, with a book of its own.

    Args:
        analyser: makes readings batch by batch; None has the views make them on the CPU, which
            gives the same bits.
    """
    known = {instrument.name: instrument for instrument in started.instruments}
    calendar = load_calendar()
    for name in settings.instruments:  # 10 ms a year, which no decision should wait for
        calendar.session(name, started.now_ns)
    book = Book(started.snapshot.currency, known, settings.risk, calendar)
    book.restore(started.snapshot, started.state, started.now_ns)
    book.ready = True
    streamed = analyser is None
    return Decider(
        views=view_market(
            known, settings.instruments, settings.market, settings.bitspace, streamed=streamed
        ),
        book=book,
        rule=PolarityRule(settings.rule),
        limits=settings.risk,
        config_version=settings.version,
        account_id=started.account_id,
        analyser=analyser,
        past=started.closes,
    )
