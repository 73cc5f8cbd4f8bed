"""Opening hours as data, and the intervals of trading that they mean."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from sepd.market.new_york import wall_ns

_DAY = dt.timedelta(days=1)
_FRIDAY = 4
Named = Annotated[str, Meta(min_length=1)]
Zone = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]{0,60}$")]
Patterns = Annotated[tuple[Named, ...], Meta(min_length=1)]


class Session(Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """Trading days since a date: open on the evening before, close on the day itself."""

    instruments: Patterns
    since: dt.date
    open: dt.time
    close: dt.time
    source: Named


class Pause(Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """A daily pause by the wall clock of `zone`."""

    instruments: Patterns
    since: dt.date
    zone: Zone
    start: dt.time
    end: dt.time
    source: Named


class Holiday(Struct, frozen=True, forbid_unknown_fields=True):
    """A trading day that is closed every year; after it nothing opens before `reopen`."""

    instruments: Patterns
    month: int
    day: int
    from_year: int
    source: Named
    to_year: int = 9999
    reopen: dt.time | None = None


class Closure(
    Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}
):
    """A single stretch of New York time without trading."""

    instruments: Patterns
    start: dt.datetime
    end: dt.datetime
    source: Named


class Hours(Struct, frozen=True, forbid_unknown_fields=True):
    """All entries; of several that match, the last one wins."""

    session: tuple[Session, ...]
    pause: tuple[Pause, ...] = ()
    holiday: tuple[Holiday, ...] = ()
    closure: tuple[Closure, ...] = ()


def hours_of(hours: Hours, instrument: str) -> Hours:
    """The entries that name `instrument`."""
    return Hours(
        session=tuple(one for one in hours.session if _names(one.instruments, instrument)),
        pause=tuple(one for one in hours.pause if _names(one.instruments, instrument)),
        holiday=tuple(one for one in hours.holiday if _names(one.instruments, instrument)),
        closure=tuple(one for one in hours.closure if _names(one.instruments, instrument)),
    )


class Interval(Struct, frozen=True):
    """An unbroken stretch of trading [open_ns, close_ns)."""

    open_ns: int
    close_ns: int


def open_intervals(hours: Hours, year: int) -> Iterator[Interval]:
    """Stretches of trading of the trading days that close in `year`, in order.

    Args:
        hours: those of one instrument (`hours_of`).
    """
    closed = deque(sorted(_closed(hours, year), key=lambda one: one.open_ns))
    day = dt.date(year, 1, 1)
    while day.year == year:
        session = _session(hours, day)
        if day.weekday() <= _FRIDAY and session and not _holiday(hours, day):
            before = _holiday(hours, day - _DAY)
            reopen = before.reopen if before and before.reopen else session.open
            opening = max(reopen, session.open)
            whole = Interval(wall_ns(day - _DAY, opening), wall_ns(day, session.close))
            while closed and closed[0].close_ns <= whole.open_ns:
                closed.popleft()
            yield from _without(whole, closed)
        day += _DAY


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Neighbours that touch become one."""
    merged: list[Interval] = []
    for one in intervals:
        if merged and one.open_ns <= merged[-1].close_ns:
            merged[-1] = Interval(merged[-1].open_ns, max(one.close_ns, merged[-1].close_ns))
        elif one.open_ns < one.close_ns:
            merged.append(one)
    return merged


def _session(hours: Hours, day: dt.date) -> Session | None:
    return next((one for one in reversed(hours.session) if one.since <= day), None)


def _holiday(hours: Hours, day: dt.date) -> Holiday | None:
    for one in reversed(hours.holiday):
        this_day = (one.month, one.day) == (day.month, day.day)
        if this_day and one.from_year <= day.year <= one.to_year:
            return one
    return None


def _closed(hours: Hours, year: int) -> Iterator[Interval]:
    """Pauses and closures that touch the trading days of `year`."""
    for closure in hours.closure:
        yield Interval(_moment_ns(closure.start), _moment_ns(closure.end))
    for pause in hours.pause:
        zone = ZoneInfo(pause.zone)
        day = max(pause.since, dt.date(year - 1, 12, 28))
        while day <= dt.date(year + 1, 1, 2):
            yield Interval(wall_ns(day, pause.start, zone), wall_ns(day, pause.end, zone))
            day += _DAY


def _without(whole: Interval, closed: Iterable[Interval]) -> Iterator[Interval]:
    """What is left of `whole` when the `closed` stretches, in order, are cut out."""
    at_ns = whole.open_ns
    for one in closed:
        if at_ns < one.open_ns < whole.close_ns:
            yield Interval(at_ns, one.open_ns)
        if one.open_ns >= whole.close_ns:
            break
        at_ns = max(at_ns, one.close_ns)
    if at_ns < whole.close_ns:
        yield Interval(at_ns, whole.close_ns)


def _moment_ns(moment: dt.datetime) -> int:
    return wall_ns(moment.date(), moment.time())


def _names(patterns: Iterable[str], instrument: str) -> bool:
    return any(fnmatchcase(instrument, pattern) for pattern in patterns)
