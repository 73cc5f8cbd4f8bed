"""Datasets into the store."""

from __future__ import annotations

from itertools import batched
from typing import Protocol

from sepd.domain.market import Candle
from sepd.errors import InputError
from sepd.history.dataset import Dataset

AT_ONCE = 5_000


class CandleStore(Protocol):
    """The part of the store that loading needs."""

    async def record_candles(self, candles: tuple[Candle, ...], source: str) -> None:
        """Queue candles; the same candle twice is stored once."""
        ...

    async def flush(self) -> None:
        """Return when all that was queued is committed."""
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
