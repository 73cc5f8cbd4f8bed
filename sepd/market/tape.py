"""Tapes: recorded prices in a file, read once, checked row by row, and played as quotes.

A bar says four prices and not when they were quoted. It is played as four quotes, a quarter of
its length apart: open, low, high, close where it closed at or above its open, and open, high,
low, close where it closed below. Every price is recorded; the order and the instants inside the
bar are this convention. Nothing is interpolated.
"""

from __future__ import annotations

import importlib.util
from array import array
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import IO

from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.errors import ConfigError, InputError
from sepd.market.archive import DAMAGE, text_in
from sepd.market.foreign import foreign_layout
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
        both_sides: whether bid and ask were both recorded; else they are the stated spread apart.
        columns: 64-bit integers: time_ns, bid, ask of ticks; the fields of a candle of bars.
    """

    def __init__(
        self,
        path: Path,
        instrument: Instrument,
        granularity: Granularity | None,
        columns: list[array[int]],
        rejected: Rejections,
        both_sides: bool = True,
    ) -> None:
        self.path = path
        self.instrument = instrument
        self.granularity = granularity
        self.rejected = rejected
        self.both_sides = both_sides
        self.columns = columns

    @property
    def rows(self) -> int:
        """Accepted rows."""
        return len(self.columns[0])

    @property
    def start_ns(self) -> int:
        """Time of the first row."""
        return self.columns[0][0]

    @property
    def end_ns(self) -> int:
        """Time of the last tick, or end of the last bar."""
        return self.columns[0][-1] + (self.granularity.ns if self.granularity else 0)

    @property
    def quote_count(self) -> int:
        """Quotes that `quotes` yields: one a tick, four a bar."""
        return self.rows if self.granularity is None else 4 * self.rows

    def quotes(self) -> Iterator[Quote]:
        """Every recorded price, oldest first."""
        if self.granularity is None:
            return map(Quote, repeat(self.instrument.name), *self.columns)
        return chain.from_iterable(map(played, self.candles()))

    def candles(self) -> Iterator[Candle]:
        """The bars of a bar tape as candles; a tick tape has none."""
        if self.granularity is None:
            return iter(())
        name, length = self.instrument.name, self.granularity
        return (Candle(name, length, *row) for row in zip(*self.columns, strict=True))


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
    """Read a tape: plain, gzipped, or the only CSV file of a zip.

    Args:
        path: a file in a layout of `sepd.market.layouts` or `sepd.market.foreign`.
        instrument: what it prices; None takes it from the file's name.
        spread_points: ask − bid given to a tape of mid prices or of one side.

    Raises:
        InputError: missing, empty, unreadable, unknown layout or instrument, no legal row.
    """
    try:
        with path.open("rb") as raw:
            return tape_in(path, raw, instrument, spread_points)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None


def tape_in(path: Path, raw: IO[bytes], instrument: str | None, spread_points: int) -> Tape:
    """A tape from an opened file; `path` names it.

    Raises:
        InputError: as `open_tape`.
    """
    if spread_points < 0:
        raise InputError(f"A spread of {spread_points} points is negative.")
    try:
        with text_in(path, raw) as (name, stream):
            found = instrument_named(instrument) if instrument else _instrument_of(path, name)
            return read_tape(path, name, lines_of(stream), found, spread_points)
    except InputError:
        raise
    except DAMAGE as error:
        raise InputError(f"{path}: damaged archive ({error}); fetch the file again.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None


def read_tape(
    path: Path, name: str, lines: Iterator[str], instrument: Instrument, spread_points: int
) -> Tape:
    """A tape from lines of text; `name` is the name of the file that they are from.

    Raises:
        InputError: empty, unknown layout, no legal row.
    """
    first = next(lines, "")
    if not first.strip():
        raise InputError(f"{path}: is empty; give a file with a header and rows.")
    precision = instrument.display_precision
    layout = layout_of(first, precision, spread_points) or foreign_layout(
        first, name, precision, spread_points
    )
    if layout is None:
        raise InputError(
            f"{path}: unknown header {first[:80]!r}; see docs/data.md for the layouts."
        )
    if layout.name.startswith("LEAN") and "fxcm" in path.parts:
        raise InputError(f"{path}: LEAN keeps FXCM files in UTC−5; sepd reads those of OANDA.")
    numbered = enumerate(lines, 2) if layout.has_header else enumerate(chain([first], lines), 1)
    rejected = Rejections()
    if layout.is_tick:
        granularity, columns = None, read_ticks(numbered, layout, rejected)
    else:
        granularity, rows = granularity_of(name, numbered, layout)
        if granularity is None:
            raise InputError(f"{path}: how long is a bar? Name it EUR_USD.M1.csv for instance.")
        columns = read_bars(rows, layout, granularity, rejected)
    if not columns[0]:
        why = ", ".join(f"{count} {reason}" for reason, count in rejected.by_reason.items())
        raise InputError(f"{path}: no row is legal ({why or 'no rows'}); see docs/data.md.")
    return Tape(path, instrument, granularity, columns, rejected, layout.both_sides)


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


def _instrument_of(path: Path, name: str) -> Instrument:
    found = instrument_in(name) or instrument_in(path.name)
    if found is None:
        raise InputError(f"{path}: name the instrument: call the file EUR_USD.csv for instance.")
    return found
