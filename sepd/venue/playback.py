"""Playing a recording to an account: a cursor that stops where something must be told."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sepd.domain.market import Granularity
from sepd.venue.engine import Engine
from sepd.venue.recording import Recording
from sepd.venue.triggers import Watch

_END = 1 << 62


class Block(NamedTuple):
    """Rows `start` to `stop` that were played; `closes` if the last one closes a candle."""

    start: int
    stop: int
    closes: bool


class Playback:
    """Feeds `recording` to `engine`, row by row where an order may trigger, else in strides.

    `position` is the number of rows played, `now_ns` the venue's time. With a `lockstep`
    granularity each block ends with the first quote of an instrument in a new such period.
    """

    def __init__(
        self, recording: Recording, engine: Engine, lockstep: Granularity | None = None
    ) -> None:
        self.recording = recording
        self.engine = engine
        self.position = 0
        self.now_ns = recording.start_ns
        self.lockstep = lockstep
        self._closing = recording.closing_rows(lockstep)

    @property
    def ended(self) -> bool:
        """Whether every row was played."""
        return self.position >= len(self.recording)

    @property
    def next_ns(self) -> int:
        """Time of the next row, or the tape's end."""
        if self.ended:
            return self.recording.end_ns
        return int(self.recording.times[self.position])

    def advance(self, rows: int = _END, until_ns: int = _END) -> Block:
        """Play at most `rows` rows up to and including `until_ns`, and no further than a row
        that closes a candle."""
        start = self.position
        stop = min(start + rows, len(self.recording))
        if until_ns < _END:
            stop = min(stop, int(np.searchsorted(self.recording.times, until_ns, side="right")))
        place = int(np.searchsorted(self._closing, start))
        closes = place < len(self._closing) and int(self._closing[place]) < stop
        if closes:
            stop = int(self._closing[place]) + 1
        stop = max(stop, start)
        self._play(start, stop)
        self.position = stop
        if stop > start:
            self.now_ns = max(self.now_ns, int(self.recording.times[stop - 1]))
        return Block(start, stop, closes)

    def pass_time(self, now_ns: int) -> None:
        """Let the venue's clock stand at `now_ns`, if that is later."""
        self.now_ns = max(self.now_ns, now_ns)
        self.engine.on_time(self.now_ns)

    def _play(self, start: int, stop: int) -> None:
        while start < stop:
            row = self._next_event(start, self._next_due(start, stop))
            self._observe(start, row)
            if row < stop:
                self.engine.on_quote(self.recording.quote(row))
            start = row + 1

    def _next_due(self, start: int, stop: int) -> int:
        """First row at or after the engine's next deadline; `stop` where none is."""
        due_ns = self.engine.deadline
        if due_ns is None:
            return stop
        times = self.recording.times[start:stop]
        return start + int(np.searchsorted(times, due_ns))

    def _observe(self, start: int, stop: int) -> None:
        """Show the engine the newest quote of each instrument in rows `start` to `stop`."""
        found = (self.recording.last_row(n, stop) for n in range(len(self.recording.names)))
        for row in sorted(row for row in found if row is not None and row >= start):
            self.engine.observe(self.recording.quote(row))

    def _next_event(self, start: int, stop: int) -> int:
        """First row that the engine must see by itself; `stop` where there is none."""
        found = stop
        for number, name in enumerate(self.recording.names):
            watch = self.engine.watch(name)
            if watch is not None:
                found = min(found, self._first_hit(number, watch, start, found))
        return found

    def _first_hit(self, number: int, watch: Watch, start: int, stop: int) -> int:
        rows = slice(start, stop)
        hit = self.recording.which[rows] == number
        if not watch.every:
            bids, asks = self.recording.bids[rows], self.recording.asks[rows]
            hit &= (
                (bids <= watch.bid_below)
                | (bids >= watch.bid_above)
                | (asks <= watch.ask_below)
                | (asks >= watch.ask_above)
            )
        first = int(hit.argmax()) if hit.size else 0
        return start + first if hit.size and hit[first] else stop
