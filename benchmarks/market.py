"""Twenty-eight instruments on one tape, for benchmarks that need a market and not its prices.

A recorded tape is retimed and replayed under every name, each name from a place of its own. The
prices carry timing only: no decision of a person rests on what a benchmark does with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
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
    """Put `ticks` quotes on `queue`, paced by the clock, which is looked at every millisecond.

    What is due is put at once, so a loop that is held up is met by the ticks that came meanwhile,
    as it would be by a broker's.
    """
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    waiting: list[Quote] = []
    while sent < ticks:
        due = min(ticks, int((loop.time() - began) * per_s) + 1)
        while len(waiting) < due - sent:
            waiting += ticker.quotes(1)
        if due > sent:
            await queue.put_many(waiting[: due - sent])
            del waiting[: due - sent]
            sent = due
        await asyncio.sleep(0.001)
