"""Datasets into the store, and the store against datasets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import batched
from typing import Protocol

from sepd.domain.market import Candle, Granularity
from sepd.domain.time import format_time
from sepd.errors import InputError
from sepd.history.check import Finding
from sepd.history.dataset import Dataset
from sepd.market.crosscheck import differing_prices

AT_ONCE = 5_000


class CandleStore(Protocol):
    """The part of the store that loading needs."""

    async def record_candles(self, candles: Sequence[Candle], source: str) -> None:
        """Queue candles; the same candle twice is stored once."""
        ...

    async def flush(self) -> None:
        """Return when all that was queued is committed."""
        ...

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """Stored candles that start in [from_ns, to_ns), oldest first."""
        ...


async def load_into(store: CandleStore, dataset: Dataset, from_ns: int, to_ns: int) -> int:
    """Write the candles of [from_ns, to_ns) into the store; returns how many.

    Each names its dataset, by the chain as it is now, as its source.

    Raises:
        InputError: the dataset holds ticks.
        TransientError: the database is away.
    """
    if dataset.granularity is None:
        raise InputError("Ticks are not loaded into the database; import with --candles M1.")
    source = dataset.manifest().dataset_id
    count = 0
    for candles in batched(dataset.candles(from_ns, to_ns), AT_ONCE):
        await store.record_candles(candles, source)
        count += len(candles)
    await store.flush()
    return count


async def compare_stored(store: CandleStore, dataset: Dataset) -> tuple[int, list[Finding]]:
    """Find candles of a dataset that the store holds with other prices.

    Returns the candles that both hold, and the differences. What the store alone holds, from
    the stream for instance, is not this dataset's to judge.
    """
    length, name = dataset.granularity, dataset.instrument.name
    if length is None:
        return 0, []
    compared = 0
    findings = []
    for rows in dataset.rows():
        span = int(rows[0, 0]), int(rows[-1, 0]) + length.ns
        stored = {one.time_ns: one for one in await store.candles(name, length, *span)}
        for row in rows.tolist():
            ours, theirs = Candle(name, length, *row), stored.get(row[0])
            compared += theirs is not None
            if theirs is not None and (differing := differing_prices(ours, theirs)):
                what = f"the database has other prices: {', '.join(differing)}"
                findings.append(Finding(format_time(row[0]), what))
    return compared, findings
