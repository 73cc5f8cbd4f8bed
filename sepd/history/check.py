"""Verification: altered rows, broken chains, holes, and a sample asked again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from msgspec import Struct

from sepd.domain.market import Granularity
from sepd.domain.time import NS_PER_S, format_time
from sepd.errors import InputError
from sepd.history.dataset import Dataset, Window, read_manifest
from sepd.history.download import CandleSource, to_rows
from sepd.history.segment import Rows, Segment
from sepd.market.calendar import Calendar, Hole
from sepd.market.provenance import Part, altered_rows, row_digests, segment_head
from sepd.market.rows import bar_fault, tick_fault

LISTED = 100
SAMPLE_CANDLES = 60
QUIET_NS = 900 * NS_PER_S
QUIET_CANDLES = 3


class Finding(Struct, frozen=True):
    """Something wrong: where, and what."""

    place: str
    what: str


class Verdict(Struct, frozen=True):
    """What verification found; no finding means that the data is as it was taken.

    `holes` counts by kind; it is empty where a segment could not be read. `compared` candles
    were asked of the broker again, `stored` candles were compared with the database.
    """

    dataset: str
    rows: int
    chain: str
    findings: tuple[Finding, ...]
    holes: dict[str, int]
    compared: int = 0
    stored: int = 0


def verify(dataset: Dataset, calendar: Calendar) -> Verdict:
    """Check every row against its digest, every segment against the sealed manifest.

    Raises:
        InputError: there is no manifest.
    """
    findings: list[Finding] = []
    if not dataset.manifest_path.exists():
        raise InputError(
            f"{dataset.folder}: was never finished; run that sepd data download or import again."
        )
    sealed = read_manifest(dataset.manifest_path)
    heads = {one.start_ns: one.head for one in sealed.segments}
    rows, read, last_ns = 0, 0, -1
    for segment in _readable(dataset, findings):
        start = segment.header.start_ns
        findings += _altered(dataset, segment)
        if segment.header.head != heads.pop(start, ""):
            what = "the segment is not the one that the manifest sealed"
            findings.append(Finding(format_time(start), what))
        findings += _illegal(dataset, segment.rows, last_ns)
        last_ns = int(segment.rows[-1, 0]) if len(segment.rows) else last_ns
        rows += len(segment.rows)
        read += 1
    findings += [Finding(format_time(start), "the segment is missing") for start in heads]
    whole = read == len(dataset.paths())
    kinds = Counter(hole.kind.value for hole in holes(dataset, calendar)) if whole else {}
    return Verdict(dataset.folder.name, rows, sealed.chain, tuple(findings), dict(kinds))


def holes(dataset: Dataset, calendar: Calendar) -> Iterator[Hole]:
    """Every stretch without rows between the first and the last answer, and what it is.

    Where the broker answered, what it did not name was not quoted; where a file is the source,
    an open stretch counts as without ticks up to 15 minutes or three candles, and as missing
    beyond: the longest in the recorded EUR/USD of May 2014 is 6 minutes 27 seconds.
    """
    length = dataset.granularity.ns if dataset.granularity else 0
    quiet = max(QUIET_NS, QUIET_CANDLES * length)
    parts = [part for segment in dataset.manifest().segments for part in segment.parts]
    answered = _joined(part for part in parts if part.origin.source == "oanda")
    at_ns = min((part.from_ns for part in parts), default=0)
    end_ns = max((part.to_ns for part in parts), default=0)
    name = dataset.instrument.name
    for rows in dataset.rows():
        times = rows[:, 0]
        ends = np.concatenate([[at_ns], times + length])
        for place in np.flatnonzero(times - ends[:-1] > (0 if length else quiet)):
            hole = int(ends[place]), int(times[place])
            yield from calendar.classify(name, *hole, answered=answered, quiet_ns=quiet)
        at_ns = int(ends[-1])
    if at_ns < end_ns:
        yield from calendar.classify(name, at_ns, end_ns, answered=answered, quiet_ns=quiet)


async def sample_again(
    dataset: Dataset, broker: CandleSource, rng: random.Random, count: int
) -> tuple[int, list[Finding]]:
    """Ask the broker again for `count` random stretches of 60 candles and compare.

    Returns the candles compared and the differences.
    """
    length = dataset.granularity
    if length is None:
        raise InputError("Ticks cannot be asked for again.")
    asked = [
        part
        for segment in dataset.manifest().segments
        for part in segment.parts
        if part.origin.source == "oanda"
    ]
    compared = 0
    findings: list[Finding] = []
    for part in rng.sample(asked, min(count, len(asked))):
        from_ns, to_ns = _piece(part, length, rng)
        theirs = to_rows(await broker.candles(dataset.instrument.name, length, from_ns, to_ns))
        ours = np.concatenate([theirs[:0], *dataset.rows(from_ns, to_ns)])
        compared += len(ours)
        findings += _differences(ours, theirs)
    return compared, findings


def _readable(dataset: Dataset, findings: list[Finding]) -> Iterator[Segment]:
    """Segments one by one; what cannot be read becomes a finding."""
    for path in dataset.paths():
        try:
            yield dataset.segment(path)
        except InputError as error:
            findings.append(Finding(path.name, str(error)))


def _altered(dataset: Dataset, segment: Segment) -> Iterator[Finding]:
    """Rows that differ from their digests, and a head that differs from all of them."""
    width = 8 * dataset.columns
    rows = segment.rows.astype("<i8").tobytes()
    places = altered_rows(rows, width, segment.kept_digests)
    for place in places[:LISTED]:
        values = segment.rows[place].tolist()
        yield Finding(format_time(values[0]), f"the row was altered: it reads {values[1:]}")
    if len(places) > LISTED:
        yield Finding(format_time(segment.header.start_ns), f"{len(places)} rows were altered")
    head = segment_head(row_digests(rows, width)).hex()
    if not places and head != segment.header.head:
        yield Finding(format_time(segment.header.start_ns), "the rows are not those it sealed")


def _illegal(dataset: Dataset, rows: Rows, last_ns: int) -> Iterator[Finding]:
    """Rows that no tape would accept."""
    for time_ns, *prices in rows.tolist():
        if dataset.granularity is None:
            fault: str | None = tick_fault(time_ns, *prices)
            late = time_ns < last_ns
        else:
            fault = bar_fault(time_ns, prices[:4], prices[4:8])
            late = time_ns <= last_ns
        last_ns = max(last_ns, time_ns)
        if fault or late:
            yield Finding(format_time(time_ns), f"the row is {fault or 'out of order'}")


def _joined(parts: Iterable[Part]) -> list[Window]:
    """Neighbouring stretches as one."""
    joined: list[Window] = []
    for part in sorted(parts, key=lambda one: one.from_ns):
        if joined and part.from_ns <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], part.to_ns)
        else:
            joined.append((part.from_ns, part.to_ns))
    return joined


def _piece(part: Part, length: Granularity, rng: random.Random) -> Window:
    """At most `SAMPLE_CANDLES` candles somewhere in a part."""
    slots = -(-(part.to_ns - part.from_ns) // length.ns)
    first = part.from_ns + rng.randrange(max(1, slots - SAMPLE_CANDLES)) * length.ns
    return first, min(part.to_ns, first + SAMPLE_CANDLES * length.ns)


def _differences(ours: Rows, theirs: Rows) -> Iterator[Finding]:
    mine = {row[0]: row for row in ours.tolist()}
    broker = {row[0]: row for row in theirs.tolist()}
    for time_ns in sorted(mine.keys() | broker.keys()):
        if mine.get(time_ns) != broker.get(time_ns):
            what = f"we have {mine.get(time_ns)}, the broker says {broker.get(time_ns)}"
            yield Finding(format_time(time_ns), what)
