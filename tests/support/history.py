"""A broker that knows the candles of a tape and nothing else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from sepd.domain.market import Candle, Granularity
from sepd.history.segment import Rows
from sepd.market.tape import Tape


def rows_of(tape: Tape) -> Rows:
    """All rows of a tape."""
    return np.column_stack([np.frombuffer(column, np.int64) for column in tape.columns])


class TapeBroker:
    """Answers requests for candles from a bar tape, as it is told to.

    Attributes:
        faults: raised by the next requests, oldest first.
        asked: every request as (from_ns, to_ns).
        alter: changes each candle before it is given.
    """

    def __init__(self, tape: Tape) -> None:
        self._candles = list(tape.candles())
        self.faults: deque[Exception] = deque()
        self.asked: list[tuple[int, int]] = []
        self.alter: Callable[[Candle], Candle] = lambda candle: candle

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """Candles that start in [from_ns, to_ns)."""
        self.asked.append((from_ns, to_ns))
        if self.faults:
            raise self.faults.popleft()
        return [
            self.alter(candle)
            for candle in self._candles
            if from_ns <= candle.time_ns < to_ns
            and (candle.instrument, candle.granularity) == (instrument, granularity)
        ]


async def run_apart[**P, R](work: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
    """Run what starts an event loop of its own, in a thread that has none."""
    return await asyncio.to_thread(work, *args, **named)
