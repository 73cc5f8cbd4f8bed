"""Tapes: recorded prices in a file, read once, checked row by row, and played as quotes.

A bar says four prices and not when they were quoted. It is played as four quotes, a quarter of
its length apart: open, low, high, close where it closed at or above its open, and open, high,
low, close where it closed below. Every price is recorded; the order and the instants inside the
bar are this convention. Nothing is interpolated.
"""

from __future__ import annotations

import gzip
import importlib.util
import zlib
from array import array
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import IO

from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.errors import ConfigError, InputError
from sepd.market.instruments import instrument_in, instrument_named
from sepd.market.layouts import layout_of
from sepd.market.reading import granularity_of, lines_of, read_bars, read_ticks
from sepd.market.rows import Rejections

DEFAULT_SPREAD_POINTS = 10


class Tape:
    """Accepted rows of one instrument in time order, in compact columns, and what was refused.

    Attributes:
        path: where it was read.
        instrument: what is priced.
        granularity: length of its bars; None where it holds ticks.
        rejected: refused rows, counted and listed.
    """

    def __init__(
        self,
        path: Path,
        instrument: Instrument,
        granularity: Granularity | None,
        columns: list[array[int]],
        rejected: Rejections,
    ) -> None:
        self.path = path
        self.instrument = instrument
        self.granularity = granularity
        self.rejected = rejected
        self._columns = columns

    @property
    def rows(self) -> int:
        """Accepted rows."""
        return len(self._columns[0])

    @property
    def start_ns(self) -> int:
        """Time of the first row."""
        return self._columns[0][0]

    @property
    def end_ns(self) -> int:
        """Time of the last tick, or end of the last bar."""
        return self._columns[0][-1] + (self.granularity.ns if self.granularity else 0)

    @property
    def quote_count(self) -> int:
        """Quotes that `quotes` yields: one a tick, four a bar."""
        return self.rows if self.granularity is None else 4 * self.rows

    def quotes(self) -> Iterator[Quote]:
        """Every recorded price, oldest first."""
        if self.granularity is None:
            return map(Quote, repeat(self.instrument.name), *self._columns)
        return chain.from_iterable(map(played, self.candles()))

    def candles(self) -> Iterator[Candle]:
        """The bars of a bar tape as candles; a tick tape has none."""
        if self.granularity is None:
            return iter(())
        name, length = self.instrument.name, self.granularity
        return (Candle(name, length, *row) for row in zip(*self._columns, strict=True))


def played(candle: Candle) -> tuple[Quote, Quote, Quote, Quote]:
    """The four quotes that a recorded bar is played as."""
    name, quarter = candle.instrument, candle.granularity.ns // 4
    high = (candle.bid_high, candle.ask_high)
    low = (candle.bid_low, candle.ask_low)
    rose = candle.close2 >= candle.bid_open + candle.ask_open
    second, third = (low, high) if rose else (high, low)
    return (
        Quote(name, candle.time_ns, candle.bid_open, candle.ask_open),
        Quote(name, candle.time_ns + quarter, *second),
        Quote(name, candle.time_ns + 2 * quarter, *third),
        Quote(name, candle.time_ns + 3 * quarter, candle.bid_close, candle.ask_close),
    )


def open_tape(
    path: Path, instrument: str | None = None, spread_points: int = DEFAULT_SPREAD_POINTS
) -> Tape:
    """Read a tape, gzipped or plain.

    Args:
        path: a file in one of the layouts of `sepd.market.layouts`.
        instrument: what it prices; None takes it from the file's name.
        spread_points: ask − bid given to a tape of mid prices.

    Raises:
        InputError: missing, empty, unreadable, unknown layout or instrument, no legal row.
    """
    found = instrument_named(instrument) if instrument else instrument_in(path.name)
    if found is None:
        raise InputError(f"{path}: name the instrument: call the file EUR_USD.csv for instance.")
    if spread_points < 0:
        raise InputError(f"A spread of {spread_points} points is negative.")
    try:
        with _open_text(path) as stream:
            return _read(path, stream, found, spread_points)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged archive ({error}); fetch the file again.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None


def sample_path() -> Path:
    """EUR/USD sample file of the package `backtesting`, which is located but not imported.

    Raises:
        ConfigError: the package is not installed.
    """
    spec = importlib.util.find_spec("backtesting")
    if spec is not None and spec.origin:
        sample = Path(spec.origin).parent / "test" / "EURUSD.csv"
        if sample.is_file():
            return sample
    raise ConfigError("The EUR/USD sample is not installed: pip install 'sepd[demo]'.")


def _open_text(path: Path) -> IO[str]:
    """Bytes that are not UTF-8 become a character that no row may have."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    opener = gzip.open if zipped else open
    return opener(path, "rt", encoding="utf-8-sig", errors="replace")


def _read(path: Path, stream: IO[str], instrument: Instrument, spread_points: int) -> Tape:
    lines = lines_of(stream)
    header = next(lines, "")
    if not header.strip():
        raise InputError(f"{path}: is empty; give a file with a header and rows.")
    layout = layout_of(header, instrument.display_precision, spread_points)
    if layout is None:
        raise InputError(
            f"{path}: unknown header {header[:80]!r}; see docs/data.md for the layouts."
        )
    rejected = Rejections()
    if layout.is_tick:
        granularity, columns = None, read_ticks(lines, layout, rejected)
    else:
        granularity, lines = granularity_of(path, lines, layout)
        columns = read_bars(lines, layout, granularity, rejected)
    if not columns[0]:
        why = ", ".join(f"{count} {reason}" for reason, count in rejected.by_reason.items())
        raise InputError(f"{path}: no row is legal ({why or 'no rows'}); see docs/data.md.")
    return Tape(path, instrument, granularity, columns, rejected)
