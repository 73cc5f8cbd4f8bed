"""Twenty-eight instruments on one tape, for benchmarks that need a market and not its prices.

A recorded tape is retimed and replayed under every name, each name from a place of its own. The
prices carry timing only: no decision of a person rests on what a benchmark does with them.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path

from sepd.domain.market import Instrument, Quote
from sepd.feed import EventQueue
from sepd.market.tape import open_tape, sample_path

S = 1_000_000_000
START_NS = 1_489_579_200 * S  # Wednesday 2017-03-15 12:00 UTC: every market is open
_ORDER = ("EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "JPY")
PAIRS = {
    name: Instrument(name)
    for base, quote in permutations(_ORDER, 2)
    if _ORDER.index(base) < _ORDER.index(quote)
    for name in (f"{base}_{quote}",)
}
NAMES = tuple(PAIRS)
_LIBC = ctypes.CDLL(None)
_SPREAD_OUT = 25  # 25 · 9 = 1 (mod 28): instruments of neighbouring phases are quoted 9 apart


class Ticker:
    """Endless quotes, one instrument after the other.

    Instruments are out of phase, so that their candles close one after the other and not all at
    once: of `ticks` quotes in a candle, each instrument's n-th lies elsewhere.

    Args:
        tape: recorded prices; None takes the EUR/USD sample.
        candle_ns: length of the candles whose closes are spread.
        ticks: quotes of one instrument in such a candle.
    """

    def __init__(self, tape: Path | None, candle_ns: int, ticks: int) -> None:
        recorded = [(quote.bid, quote.ask) for quote in open_tape(tape or sample_path()).quotes()]
        count = len(NAMES)
        self._recorded = recorded
        self._step_ns = candle_ns // ticks
        self._places = [
            (
                name,
                START_NS + place * _SPREAD_OUT % count * candle_ns // count,
                place * len(recorded) // count,
            )
            for place, name in enumerate(NAMES)
        ]
        self._round = 0

    def quotes(self, rounds: int) -> list[Quote]:
        """The next quote of every instrument, `rounds` times."""
        return [quote for _ in range(rounds) for quote in self._next()]

    def _next(self) -> Iterator[Quote]:
        number, recorded, length = self._round, self._recorded, len(self._recorded)
        self._round += 1
        for name, first_ns, place in self._places:
            bid, ask = recorded[(place + number) % length]
            yield Quote(name, first_ns + number * self._step_ns, bid, ask)


async def feed(queue: EventQueue, ticker: Ticker, per_s: float, ticks: int) -> None:
    """Put `ticks` quotes on `queue`, each when it is due, or, above 1,000 a second, those that are
    due in a millisecond.

    What has come due meanwhile is put at once, so a loop that is held up is met by the ticks that
    came meanwhile, as it would be by a broker's.
    """
    waiting: list[Quote] = []
    each = max(1, round(per_s / 1_000))
    sent = 0
    with metronome(each / per_s) as beats:
        while sent < ticks:
            due = min(ticks - sent, await beats() * each)
            while len(waiting) < due:
                waiting += ticker.quotes(1)
            await queue.put_many(waiting[:due])
            del waiting[:due]
            sent += due


@contextmanager
def metronome(period_s: float) -> Iterator[Callable[[], Awaitable[int]]]:
    """Gives a function that waits for the next beat, and counts those since the last call.

    The kernel's timer (timerfd_create(2)) wakes the event loop as a socket does, to the
    microsecond; the loop's own timers are good for a millisecond.
    """
    number = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    seconds, rest = divmod(round(period_s * 1e9), 1_000_000_000)
    _LIBC.timerfd_settime(number, 0, struct.pack("4q", seconds, rest, seconds, rest), None)
    loop, beaten, count = asyncio.get_running_loop(), asyncio.Event(), 0

    def beat() -> None:
        nonlocal count
        count += int.from_bytes(os.read(number, 8), sys.byteorder)
        beaten.set()

    async def beats() -> int:
        nonlocal count
        await beaten.wait()
        beaten.clear()
        gone, count = count, 0
        return gone

    loop.add_reader(number, beat)
    yield beats
    loop.remove_reader(number)
    os.close(number)
