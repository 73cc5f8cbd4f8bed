"""Candles from the broker into a dataset: concurrent, resumable, complete candles only."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import structlog
from msgspec import Struct

from sepd.domain.market import Candle, Granularity
from sepd.domain.time import NS_PER_S, format_time
from sepd.errors import InputError, SepdError, TransientError
from sepd.history.dataset import Dataset, Window
from sepd.history.segment import BAR_COLUMNS, Rows
from sepd.market.provenance import Origin, Part
from sepd.market.rows import bar_fault
from sepd.ports import Clock
from sepd.supervise import Backoff

log = structlog.get_logger(__name__)

CONCURRENT = 4
ATTEMPTS = 8
FIRST_WAIT_S = 0.5
SETTLE_NS = 120 * NS_PER_S
"""The broker completes a candle up to a minute after its end: newer ones are not asked for."""


class CandleSource(Protocol):
    """The part of the broker that history needs."""

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """Complete candles that start in [from_ns, to_ns), oldest first."""
        ...


class Progress(Struct, frozen=True):
    """How far a download is: windows done and wanted, candles received."""

    done: int
    wanted: int
    candles: int


class Downloader:
    """Fills what is missing in a dataset.

    Args:
        broker: opened; its client keeps to the broker's limits.
        environment: practice or live; recorded with every part.
        clock: when parts were taken.
        rng: jitter of the retries.
        on_progress: told after every window.
    """

    def __init__(
        self,
        broker: CandleSource,
        environment: str,
        clock: Clock,
        rng: random.Random,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        self._broker = broker
        self._environment = environment
        self._clock = clock
        self._rng = rng
        self._on_progress = on_progress
        self._done = self._wanted = self._candles = 0
        self.refused = 0

    async def fill(self, dataset: Dataset, from_ns: int, to_ns: int) -> int:
        """Download what [from_ns, to_ns) lacks; returns the candles received.

        May be killed at any moment and run again: what is done is not asked for twice.

        Raises:
            InputError: the dataset holds ticks, which the broker does not record.
            TransientError: the broker stayed away through every attempt.
        """
        length = dataset.granularity
        if length is None:
            raise InputError("OANDA keeps no history of ticks; download candles.")
        settled = _settled_ns(length, self._clock.now_ns() - SETTLE_NS)
        windows = dataset.missing(length.floor(from_ns), min(to_ns, settled))
        self._wanted += len(windows)
        before = self._candles
        todo = iter(windows)
        failures: list[Exception] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(CONCURRENT, len(windows))):
                    tasks.create_task(self._work(dataset, length, todo))
        except* SepdError as group:
            failures.extend(group.exceptions)
        dataset.seal()
        if failures:
            raise failures[0]
        return self._candles - before

    async def _work(self, dataset: Dataset, length: Granularity, todo: Iterator[Window]) -> None:
        for window in todo:
            candles = await self._ask(dataset.instrument.name, length, window)
            legal = [one for one in candles if _is_legal(one)]
            self.refused += len(candles) - len(legal)
            request = (
                f"candles {dataset.instrument.name} {length} price=BA "
                f"from={format_time(window[0])} to={format_time(window[1])}"
            )
            origin = Origin("oanda", self._environment, request)
            dataset.put(to_rows(legal), Part(*window, self._clock.now_ns(), origin))
            self._done += 1
            self._candles += len(legal)
            self._on_progress(Progress(self._done, self._wanted, self._candles))

    async def _ask(self, name: str, length: Granularity, window: Window) -> Sequence[Candle]:
        backoff = Backoff(self._rng, FIRST_WAIT_S)
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                return await self._broker.candles(name, length, *window)
            except TransientError as error:
                if not left:
                    raise
                log.warning("candles_again", instrument=name, error=str(error), left=left)
                await asyncio.sleep(backoff.next_s())
        raise AssertionError("unreachable")


def _settled_ns(length: Granularity, now_ns: int) -> int:
    """No candle that starts before this is still open; long ones are not aligned to UTC."""
    if length.ns <= Granularity.H1.ns:
        return length.floor(now_ns)
    return now_ns - length.ns + 1


def to_rows(candles: Sequence[Candle]) -> Rows:
    """Candles as rows of ten columns."""
    flat = [
        (
            one.time_ns,
            one.bid_open,
            one.bid_high,
            one.bid_low,
            one.bid_close,
            one.ask_open,
            one.ask_high,
            one.ask_low,
            one.ask_close,
            one.volume,
        )
        for one in candles
    ]
    return np.array(flat, np.int64).reshape(len(flat), BAR_COLUMNS)


def _is_legal(candle: Candle) -> bool:
    bid = (candle.bid_open, candle.bid_high, candle.bid_low, candle.bid_close)
    ask = (candle.ask_open, candle.ask_high, candle.ask_low, candle.ask_close)
    fault = bar_fault(candle.time_ns, bid, ask)
    if fault:
        log.warning("candle_refused", reason=fault, time=format_time(candle.time_ns))
    return fault is None
