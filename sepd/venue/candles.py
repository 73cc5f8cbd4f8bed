"""Candles of what was played so far, of any granularity that the recording can carry.

Lengths up to an hour are aligned to UTC; H2 to H12 and D start at `daily_alignment` o'clock in
the alignment zone, W and M at that hour of the weekly day or of the month's first. A candle
without quotes does not exist; the newest is complete once a later candle has begun.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from sepd.domain.time import NS_PER_S, format_time
from sepd.venue.recording import Ints, Recording

LENGTHS = {
    **{f"S{n}": n for n in (5, 10, 15, 30)},
    **{f"M{n}": 60 * n for n in (1, 2, 4, 5, 10, 15, 30)},
    **{f"H{n}": 3_600 * n for n in (1, 2, 3, 4, 6, 8, 12)},
    "D": 86_400,
    "W": 7 * 86_400,
    "M": 28 * 86_400,
}
_LONGEST = {**LENGTHS, "M": 31 * 86_400}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SUB_DAY = 3_600


class Alignment(Struct, frozen=True):
    """Where days and weeks begin."""

    hour: int = 17
    zone: str = "America/New_York"
    weekday: str = "Friday"


class CandleRequest(Struct, frozen=True):
    """Candles whose start is in [from_ns, to_ns); with `count`, that many from an end of it."""

    granularity: str = "S5"
    components: str = "M"
    from_ns: int | None = None
    to_ns: int | None = None
    count: int = 500
    include_first: bool = True
    smooth: bool = False
    alignment: Alignment = Alignment()


def candles(
    recording: Recording, number: int, played: int, tape_over: bool, request: CandleRequest
) -> list[dict[str, Any]]:
    """Candles of instrument `number` from its rows below `played`, oldest first."""
    own = recording.own[number]
    rows = own[: int(np.searchsorted(own, played))]
    if request.from_ns is not None:
        # A candle that covers `from` began at most its length before; one more names the last.
        earliest = request.from_ns - 2 * _LONGEST[request.granularity] * NS_PER_S
        rows = rows[int(np.searchsorted(recording.times[rows], earliest)) :]
    if not rows.size:
        return []
    edges = _edges(recording.times[rows[[0, -1]]], request)
    starts = _starts(recording.times[rows], request.granularity, edges)
    firsts = np.flatnonzero(np.concatenate(([True], starts[1:] != starts[:-1])))
    chosen = _choose(starts[firsts], request, edges)
    bounds = np.append(firsts, len(rows))
    over = tape_over and _end(int(starts[-1]), request, edges) <= recording.end_ns
    return [
        _candle(
            recording,
            number,
            rows[bounds[place] : bounds[place + 1]],
            int(starts[firsts[place]]),
            place + 1 < len(firsts) or over,
            request,
            rows[bounds[place] - 1] if place else None,
        )
        for place in chosen
    ]


def _choose(starts: Ints, request: CandleRequest, edges: Ints | None) -> range:
    """Places of the candles that were asked for."""
    low = 0 if request.from_ns is None else int(np.searchsorted(starts, request.from_ns))
    if request.from_ns is not None and request.include_first:
        covering = int(np.searchsorted(starts, request.from_ns, side="right")) - 1
        if covering >= 0 and _end(int(starts[covering]), request, edges) > request.from_ns:
            low = covering
    elif request.from_ns is not None:
        low = int(np.searchsorted(starts, request.from_ns, side="right"))
    high = len(starts) if request.to_ns is None else int(np.searchsorted(starts, request.to_ns))
    if request.from_ns is None:
        return range(max(low, high - request.count), high)
    return range(low, high if request.to_ns is not None else min(high, low + request.count))


def _starts(times: Ints, granularity: str, edges: Ints | None) -> Ints:
    length = LENGTHS[granularity] * NS_PER_S
    if edges is None:
        return times - times % length
    day = edges[np.searchsorted(edges, times, side="right") - 1]
    return day if LENGTHS[granularity] >= LENGTHS["D"] else day + (times - day) // length * length


def _end(start: int, request: CandleRequest, edges: Ints | None) -> int:
    if edges is None or LENGTHS[request.granularity] < LENGTHS["D"]:
        return start + LENGTHS[request.granularity] * NS_PER_S
    return int(edges[np.searchsorted(edges, start, side="right")])


def _edges(span: Ints, request: CandleRequest) -> Ints | None:
    """Starts of the days, weeks or months that cover `span`; None where UTC decides."""
    if LENGTHS[request.granularity] <= _SUB_DAY:
        return None
    zone = ZoneInfo(request.alignment.zone)
    first, last = (datetime.fromtimestamp(int(t) // NS_PER_S, UTC).date() for t in span)
    days = [first + timedelta(n) for n in range(-32, (last - first).days + 35)]
    kept = [day for day in days if _begins(day, request)]
    return np.array([_instant(day, request.alignment.hour, zone) for day in kept], np.int64)


def _begins(day: date, request: CandleRequest) -> bool:
    if request.granularity == "W":
        return day.weekday() == WEEKDAYS.index(request.alignment.weekday)
    return day.day == 1 if request.granularity == "M" else True


def _instant(day: date, hour: int, zone: ZoneInfo) -> int:
    local = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
    return int(local.timestamp()) * NS_PER_S


def _candle(
    recording: Recording,
    number: int,
    rows: NDArray[np.intp],
    start: int,
    complete: bool,
    request: CandleRequest,
    previous: int | None,
) -> dict[str, Any]:
    bids, asks = recording.bids[rows], recording.asks[rows]
    digits = recording.instruments[number].display_precision
    columns = {"M": (bids + asks + 1) // 2, "B": bids, "A": asks}
    names = {"M": "mid", "B": "bid", "A": "ask"}
    opens = {}
    if request.smooth and previous is not None:
        bid, ask = int(recording.bids[previous]), int(recording.asks[previous])
        opens = {"M": (bid + ask + 1) // 2, "B": bid, "A": ask}
    view: dict[str, Any] = {
        "complete": complete,
        "volume": len(rows),
        "time": format_time(start),
    }
    for component in request.components:
        view[names[component]] = _prices(columns[component], opens.get(component), digits)
    return view


def _prices(points: Ints, opened: int | None, digits: int) -> dict[str, str]:
    first = int(points[0]) if opened is None else opened
    last = int(points[-1])
    high, low = max(int(points.max()), first), min(int(points.min()), first)
    named = {"o": first, "h": high, "l": low, "c": last}
    return {name: _text(value, digits) for name, value in named.items()}


def _text(points: int, digits: int) -> str:
    padded = str(points).zfill(digits + 1)
    return f"{padded[:-digits]}.{padded[-digits:]}" if digits else padded
