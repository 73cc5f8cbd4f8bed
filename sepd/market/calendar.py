"""When a market is open, and what a hole in its prices means.

The hours are data: `config/calendar.toml`, a source beside every entry. "Closed", "open but
without ticks" and "missing" are three different things.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Struct

from sepd.domain.time import NS_PER_S
from sepd.errors import ConfigError, InputError
from sepd.market.hours import Hours, Interval, hours_of, merge, open_intervals
from sepd.resources import data_dir

_CACHED_YEARS = 16
_DAY_NS = 86_400 * NS_PER_S


class Stretch(StrEnum):
    """What a stretch of time without prices is."""

    CLOSED = "closed"
    QUIET = "open without ticks"
    MISSING = "missing"


class Hole(Struct, frozen=True):
    """A stretch [from_ns, to_ns) without prices, and what it is."""

    kind: Stretch
    from_ns: int
    to_ns: int


class Calendar:
    """Opening hours of every instrument.

    Instants belong to a session from its opening, included, to its close, excluded.
    """

    def __init__(self, hours: Hours) -> None:
        self._hours = hours
        self._known: dict[str, _Sessions] = {}
        self._last: dict[str, Interval] = {}

    def session(self, instrument: str, time_ns: int) -> Interval | None:
        """The unbroken stretch of trading that holds an instant; None while there is none."""
        last = self._last.get(instrument)
        if last is not None and last.open_ns <= time_ns < last.close_ns:
            return last
        opens, closes = self._around(instrument, time_ns)
        place = bisect_right(opens, time_ns) - 1
        if place < 0 or time_ns >= closes[place]:
            return None
        found = Interval(opens[place], closes[place])
        self._last[instrument] = found
        return found

    def is_open(self, instrument: str, time_ns: int) -> bool:
        """Whether `instrument` trades at an instant."""
        return self.session(instrument, time_ns) is not None

    def next_open(self, instrument: str, time_ns: int) -> int:
        """The first instant not before `time_ns` at which `instrument` trades."""
        opens, closes = self._around(instrument, time_ns)
        place = bisect_right(closes, time_ns)
        if place == len(opens):
            raise InputError(f"The calendar never opens {instrument} again.")
        return max(time_ns, opens[place])

    def next_close(self, instrument: str, time_ns: int) -> int:
        """The first instant not before `time_ns` at which `instrument` does not trade."""
        found = self.session(instrument, time_ns)
        return time_ns if found is None else found.close_ns

    def sessions(self, instrument: str, from_ns: int, to_ns: int) -> list[Interval]:
        """Unbroken stretches of trading that overlap [from_ns, to_ns), whole, in order."""
        first, last = _year(from_ns), _year(max(from_ns, to_ns - 1))
        if first == last:
            opens, closes = self._around(instrument, from_ns)
            places = range(bisect_right(closes, from_ns), bisect_left(opens, to_ns))
            return [Interval(opens[place], closes[place]) for place in places]
        merged = self._merged(instrument, first - 1, last + 1)
        return [one for one in merged if one.open_ns < to_ns and from_ns < one.close_ns]

    def classify(
        self,
        instrument: str,
        from_ns: int,
        to_ns: int,
        *,
        answered: Sequence[tuple[int, int]] = (),
        quiet_ns: int = 0,
    ) -> list[Hole]:
        """Say what each part of a hole [from_ns, to_ns) in the prices is.

        Args:
            instrument: whose prices are missing.
            from_ns, to_ns: the hole.
            answered: stretches for which the broker was asked and gave all it had; what is
                absent there was not quoted.
            quiet_ns: an open stretch of at most this length counts as without ticks even
                where nobody was asked.
        """
        holes = []
        at_ns = from_ns
        for session in self.sessions(instrument, from_ns, to_ns):
            start, end = max(at_ns, session.open_ns), min(to_ns, session.close_ns)
            if at_ns < start:
                holes.append(Hole(Stretch.CLOSED, at_ns, start))
            holes += _open_holes(start, end, answered, quiet_ns)
            at_ns = end
        if at_ns < to_ns:
            holes.append(Hole(Stretch.CLOSED, at_ns, to_ns))
        return holes

    def _around(self, instrument: str, time_ns: int) -> tuple[list[int], list[int]]:
        """Opens and closes of the year of an instant and its neighbours."""
        return self._of(instrument).around(time_ns)

    def _merged(self, instrument: str, first: int, last: int) -> list[Interval]:
        return self._of(instrument).merged(first, last)

    def _of(self, instrument: str) -> _Sessions:
        """The sessions of an instrument; those that the same entries name share theirs."""
        found = self._known.get(instrument)
        if found is None:
            hours = hours_of(self._hours, instrument)
            alike = (one for one in self._known.values() if one.hours == hours)
            found = self._known[instrument] = next(alike, None) or _Sessions(hours)
        return found


class _Sessions:
    """What the hours of one instrument come to, year by year: made once, 10 ms a year."""

    def __init__(self, hours: Hours) -> None:
        self.hours = hours
        self._years: dict[int, tuple[list[int], list[int]]] = {}

    def around(self, time_ns: int) -> tuple[list[int], list[int]]:
        """Opens and closes of the year of an instant and its neighbours."""
        year = _year(time_ns)
        known = self._years.get(year)
        if known is None:
            if len(self._years) >= _CACHED_YEARS:
                self._years.clear()
            merged = self.merged(year - 1, year + 1)
            known = [one.open_ns for one in merged], [one.close_ns for one in merged]
            self._years[year] = known
        return known

    def merged(self, first: int, last: int) -> list[Interval]:
        """Sessions of the trading days that close in the years `first` to `last`."""
        years = range(first, last + 1)
        return merge(one for year in years for one in open_intervals(self.hours, year))


def load_calendar(path: Path | None = None) -> Calendar:
    """Read a calendar; None takes the one that sepd brings.

    Raises:
        ConfigError: it cannot be read, or an entry is wrong.
    """
    path = path or data_dir("config") / "calendar.toml"
    try:
        return calendar_in(path, path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None


def calendar_in(path: Path, content: bytes) -> Calendar:
    """A calendar from its bytes; `path` names it.

    Raises:
        ConfigError: an entry is wrong.
    """
    try:
        hours = msgspec.toml.decode(content, type=Hours)
        for pause in hours.pause:
            ZoneInfo(pause.zone)
    except (msgspec.DecodeError, ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ConfigError(f"{path}: {error}.") from None
    return Calendar(hours)


def _open_holes(
    from_ns: int, to_ns: int, answered: Sequence[tuple[int, int]], quiet_ns: int
) -> list[Hole]:
    if to_ns - from_ns <= quiet_ns:
        return [Hole(Stretch.QUIET, from_ns, to_ns)]
    holes = []
    for asked_from, asked_to in sorted(answered):
        start, end = max(asked_from, from_ns), min(asked_to, to_ns)
        if start < end:
            if from_ns < start:
                holes.append(Hole(Stretch.MISSING, from_ns, start))
            holes.append(Hole(Stretch.QUIET, start, end))
            from_ns = end
    if from_ns < to_ns:
        holes.append(Hole(Stretch.MISSING, from_ns, to_ns))
    return holes


def _year(time_ns: int) -> int:
    return _year_of_day(time_ns // _DAY_NS)


@lru_cache(maxsize=64)
def _year_of_day(day: int) -> int:
    return dt.datetime.fromtimestamp(day * 86_400, dt.UTC).year
