"""Parsers of sepd's own files under damage."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path

import msgspec
import numpy as np

from sepd.errors import ConfigError, InputError
from sepd.history.dataset import manifest_in
from sepd.history.parquet import parquet_lines
from sepd.history.segment import sealed, segment_in
from sepd.market.calendar import calendar_in
from sepd.market.instruments import instrument_named
from sepd.market.provenance import Manifest, Origin, Part, SegmentSummary, altered_rows
from sepd.market.tape import read_tape
from tests.fuzz.mutate import mutated
from tests.fuzz.tapes import check_legal

_PART = Part(0, 1 << 40, 7, Origin("oanda", "practice", "candles EUR_USD"))
_ROWS = np.arange(1, 41, dtype=np.int64).reshape(4, 10)
_SEGMENT = sealed(instrument_named("EUR_USD"), "M1", 0, _ROWS, (_PART,))
_SEGMENT_BYTES = (
    msgspec.json.encode(_SEGMENT.header) + b"\n" + _ROWS.tobytes() + _SEGMENT.kept_digests
)
_MANIFEST = msgspec.json.encode(
    Manifest("EUR_USD", "M1", 5, 4, 0, 9, "ab", (SegmentSummary(0, 4, "cd", "ef", (_PART,)),))
)
_CALENDAR = b"""
[[session]]
instruments = ["*"]
from = 2000-01-01
open = 17:03:00
close = 16:58:00
source = "test"

[[pause]]
instruments = ["NZD_*"]
from = 2010-01-01
zone = "Pacific/Auckland"
start = 06:58:00
end = 07:03:00
source = "test"

[[closure]]
instruments = ["*"]
from = 2013-12-24T14:00:00
to = 2013-12-25T17:00:00
source = "test"
"""


def fuzz_segment(rng: random.Random) -> str:
    """A damaged segment is refused, or every altered row is named."""
    data = mutated(rng, _SEGMENT_BYTES)
    try:
        segment = segment_in(Path("1.segment"), io.BytesIO(data))
    except InputError:
        return "refused"
    width = 8 * segment.header.columns
    altered = altered_rows(segment.rows.tobytes(), width, segment.kept_digests)
    same = np.array_equal(segment.rows, _ROWS)
    digests = segment.kept_digests == _SEGMENT.kept_digests
    assert altered or (same and digests) or segment.header.rows != 4
    return "accepted"


def fuzz_manifest(rng: random.Random) -> str:
    """A damaged manifest is refused or is still a manifest, field by field."""
    try:
        manifest = manifest_in(Path("manifest.json"), mutated(rng, _MANIFEST))
    except InputError:
        return "refused"
    assert msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest) == manifest
    return "accepted"


def fuzz_calendar(rng: random.Random) -> str:
    """A damaged calendar is refused or answers."""
    try:
        calendar = calendar_in(Path("calendar.toml"), mutated(rng, _CALENDAR))
    except ConfigError:
        return "refused"
    if rng.random() < 0.02:
        calendar.is_open("EUR_USD", 1_400_000_000_000_000_000)
    return "accepted"


def fuzz_parquet(rng: random.Random) -> str:
    """A damaged Parquet file is refused, or every row read is legal."""
    lines = parquet_lines(Path("EUR_USD.parquet"), io.BytesIO(mutated(rng, _parquet())))
    try:
        tape = read_tape(Path("x"), "EUR_USD.parquet", lines, instrument_named("EUR_USD"), 10)
    except InputError:
        return "refused"
    check_legal(list(zip(*tape.columns, strict=True)), tape.granularity is not None)
    return "accepted"


@cache
def _parquet() -> bytes:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    instants = [1_398_902_400_292_000_000, 1_398_902_400_920_000_000]
    times = arrow.array(instants).cast(arrow.timestamp("ns", "UTC"))
    bids, asks = ["1.38676", "1.38676"], ["1.38686", "1.38687"]
    memory = io.BytesIO()
    table = arrow.table({"time": times, "bid": bids, "ask": asks})
    parquet.write_table(table, memory, compression="none")
    return memory.getvalue()


FILES: dict[str, Callable[[random.Random], str]] = {
    "segment": fuzz_segment,
    "manifest": fuzz_manifest,
    "calendar": fuzz_calendar,
    "parquet": fuzz_parquet,
}
