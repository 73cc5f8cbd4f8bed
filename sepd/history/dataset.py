"""A dataset: all recorded prices of one instrument in one length, as segments in a folder.

Time is cut into windows of 5,000 candles (a day for ticks), the most that OANDA gives to one
request. Each window is one file, so a download that was killed goes on with the windows that
are absent, and ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace

from sepd.domain.market import Candle, Granularity, Instrument
from sepd.domain.time import NS_PER_S, format_time
from sepd.errors import ConfigError, InputError
from sepd.history.segment import (
    BAR_COLUMNS,
    TICK_COLUMNS,
    Header,
    Rows,
    Segment,
    read_header,
    read_segment,
    sealed,
    write_segment,
)
from sepd.market.instruments import instrument_named
from sepd.market.provenance import Manifest, Part, SegmentSummary, chained

WINDOW_CANDLES = 5_000
_DAY_NS = 86_400 * NS_PER_S
_SUFFIX = ".segment"
Window = tuple[int, int]


class Dataset:
    """Segments of one instrument and length under `root`.

    Args:
        root: folder of all datasets.
        instrument: what is priced.
        granularity: length of the candles; None for ticks.
        window_candles: candles in a window; the same for the life of a dataset.
    """

    def __init__(
        self,
        root: Path,
        instrument: Instrument,
        granularity: Granularity | None,
        window_candles: int = WINDOW_CANDLES,
    ) -> None:
        self.instrument = instrument
        self.granularity = granularity
        self.folder = root / f"{instrument.name}.{granularity or 'tick'}"
        self.columns = BAR_COLUMNS if granularity else TICK_COLUMNS
        self._step_ns = window_candles * granularity.ns if granularity else _DAY_NS

    def windows(self, from_ns: int, to_ns: int) -> list[Window]:
        """The windows that [from_ns, to_ns) touches, cut to it."""
        first = from_ns - from_ns % self._step_ns
        starts = range(first, to_ns, self._step_ns)
        return [(max(start, from_ns), min(start + self._step_ns, to_ns)) for start in starts]

    def missing(self, from_ns: int, to_ns: int) -> list[Window]:
        """What of [from_ns, to_ns) nobody was asked for yet, window by window."""
        todo = []
        for start, end in self.windows(from_ns, to_ns):
            path = self._path(start)
            parts = read_header(path).parts if path.exists() else ()
            todo += _uncovered(start, end, [(part.from_ns, part.to_ns) for part in parts])
        return todo

    def put(self, rows: Rows, part: Part) -> int:
        """Add what an origin said about a stretch; returns the rows added.

        The stretch lies in one window and does not overlap what is there: see `missing`.

        Raises:
            InputError: rows outside the stretch, or the stretch was taken before.
            ConfigError: the folder cannot be written.
        """
        self._make_folder()
        times = rows[:, 0]
        inside = not len(rows) or (part.from_ns <= times[0] and times[-1] < part.to_ns)
        if not inside or self.missing(part.from_ns, part.to_ns) != [(part.from_ns, part.to_ns)]:
            when = format_time(part.from_ns)
            raise InputError(f"{self.folder.name}: rows outside the missing stretch from {when}.")
        path, parts, added = self._path(part.from_ns), [part], len(rows)
        if path.exists():
            known = self.segment(path)
            both = np.concatenate([known.rows, rows])
            rows = both[np.argsort(both[:, 0], kind="stable")]
            parts = sorted([*known.header.parts, part], key=lambda one: one.from_ns)
        start = part.from_ns - part.from_ns % self._step_ns
        length = self.granularity or ""
        write_segment(path, sealed(self.instrument, length, start, rows, tuple(parts)))
        return added

    def paths(self) -> list[Path]:
        """Segment files, oldest first."""
        return sorted(self.folder.glob(f"*{_SUFFIX}"))

    def segments(self, from_ns: int = 0, to_ns: int = 1 << 62) -> Iterator[Segment]:
        """Segments that touch [from_ns, to_ns), oldest first, one in memory at a time."""
        for path in self.paths():
            if int(path.stem) < to_ns and from_ns < int(path.stem) + self._step_ns:
                yield self.segment(path)

    def segment(self, path: Path) -> Segment:
        """One segment of ours.

        Raises:
            InputError: the file is damaged or belongs elsewhere.
        """
        segment = read_segment(path)
        self._check(path, segment.header)
        return segment

    def rows(self, from_ns: int = 0, to_ns: int = 1 << 62) -> Iterator[Rows]:
        """Rows in [from_ns, to_ns), segment by segment."""
        for segment in self.segments(from_ns, to_ns):
            times = segment.rows[:, 0]
            first, last = np.searchsorted(times, [from_ns, to_ns])
            if first < last:
                yield segment.rows[first:last]

    def candles(self, from_ns: int = 0, to_ns: int = 1 << 62) -> Iterator[Candle]:
        """Candles that start in [from_ns, to_ns), oldest first."""
        if self.granularity is None:
            return
        for rows in self.rows(from_ns, to_ns):
            for row in rows.tolist():
                yield Candle(self.instrument.name, self.granularity, *row)

    def manifest(self) -> Manifest:
        """What the segments on the disk say of themselves, linked."""
        headers = []
        for path in self.paths():
            header = read_header(path)
            self._check(path, header)
            headers.append(header)
        links = chained(bytes.fromhex(header.head) for header in headers)
        summaries = tuple(
            SegmentSummary(one.start_ns, one.rows, one.head, link.hex(), one.parts)
            for one, link in zip(headers, links, strict=True)
        )
        parts = [part for one in headers for part in one.parts]
        return Manifest(
            self.instrument.name,
            self.granularity or "",
            self.instrument.display_precision,
            sum(one.rows for one in headers),
            min((part.from_ns for part in parts), default=0),
            max((part.to_ns for part in parts), default=0),
            links[-1].hex() if links else "",
            summaries,
        )

    def seal(self) -> Manifest:
        """Write the manifest beside the segments; what differs from it later was altered.

        Raises:
            ConfigError: it cannot be written.
        """
        manifest = self.manifest()
        self._make_folder()
        temporary = self.folder / "manifest.writing"
        try:
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
            temporary.replace(self.manifest_path)
        except OSError as error:
            raise ConfigError(f"{temporary}: cannot be written: {error.strerror}.") from None
        return manifest

    @property
    def manifest_path(self) -> Path:
        """Where `seal` writes."""
        return self.folder / "manifest.json"

    def _path(self, time_ns: int) -> Path:
        return self.folder / f"{time_ns - time_ns % self._step_ns:020d}{_SUFFIX}"

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.folder}: cannot be made: {error.strerror}.") from None

    def _check(self, path: Path, header: Header) -> None:
        mine = (self.instrument.name, self.granularity or "", self.columns, int(path.stem))
        if (header.instrument, header.granularity, header.columns, header.start_ns) != mine:
            raise InputError(f"{path}: belongs to another dataset; move it away.")
        if header.display_precision != self.instrument.display_precision:
            raise InputError(
                f"{path}: has prices of {header.display_precision} decimals, and "
                f"{self.instrument.name} has {self.instrument.display_precision} now; move the "
                "dataset away and download it again."
            )


def datasets(root: Path) -> list[Dataset]:
    """Every dataset under `root`."""
    found = []
    for folder in sorted(root.glob("*.*")):
        name, _, length = folder.name.partition(".")
        if folder.is_dir() and (length == "tick" or length in Granularity.__members__):
            granularity = None if length == "tick" else Granularity(length)
            found.append(Dataset(root, _instrument(folder, name), granularity))
    return found


def _instrument(folder: Path, name: str) -> Instrument:
    """The instrument with the precision that its prices were recorded in."""
    known = instrument_named(name)
    for path in folder.glob(f"*{_SUFFIX}"):
        return replace(known, display_precision=read_header(path).display_precision)
    return known


def read_manifest(path: Path) -> Manifest:
    """A manifest that was sealed.

    Raises:
        InputError: it is absent or not one.
    """
    try:
        return manifest_in(path, path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None


def manifest_in(path: Path, content: bytes) -> Manifest:
    """A manifest from its bytes; `path` names it.

    Raises:
        InputError: it is none.
    """
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no manifest: {error}.") from None


def _uncovered(from_ns: int, to_ns: int, covered: Sequence[Window]) -> list[Window]:
    holes, at_ns = [], from_ns
    for start, end in sorted(covered):
        if at_ns < min(start, to_ns):
            holes.append((at_ns, min(start, to_ns)))
        at_ns = max(at_ns, end)
    if at_ns < to_ns:
        holes.append((at_ns, to_ns))
    return holes
