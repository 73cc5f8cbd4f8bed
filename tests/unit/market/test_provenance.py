from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.errors import ConfigError
from sepd.market.provenance import (
    Manifest,
    Origin,
    Part,
    SegmentSummary,
    altered_rows,
    chained,
    kept,
    require_broker,
    row_digests,
    segment_head,
)

ROWS = st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=40)


@given(ROWS, st.data())
def test_every_altered_row_is_named(rows: list[bytes], data: st.DataObject) -> None:
    digests = kept(row_digests(b"".join(rows), 8))
    place = data.draw(st.integers(0, len(rows) - 1))
    other = data.draw(st.binary(min_size=8, max_size=8).filter(lambda one: one != rows[place]))
    rows[place] = other
    assert altered_rows(b"".join(rows), 8, digests) == [place]


def test_the_chain_is_what_it_is_documented_to_be() -> None:
    heads = [segment_head(row_digests(rows, 4)) for rows in (b"aaaabbbb", b"cccc")]
    by_hand = hashlib.sha256(
        hashlib.sha256(b"aaaa").digest() + hashlib.sha256(b"bbbb").digest()
    ).digest()
    assert heads[0] == by_hand
    first = hashlib.sha256(bytes(32) + heads[0]).digest()
    assert chained(heads) == [first, hashlib.sha256(first + heads[1]).digest()]
    assert chained(reversed(heads))[-1] != chained(heads)[-1]


def manifest(*origins: Origin) -> Manifest:
    parts = tuple(Part(0, 1, 2, origin) for origin in origins)
    segment = SegmentSummary(0, 1, "00", "00", parts)
    return Manifest("EUR_USD", "M1", 5, 1, 0, 1, "ab" * 32, (segment,))


def test_live_trading_accepts_only_its_own_broker() -> None:
    live = Origin("oanda", "live", "candles …")
    require_broker(manifest(live), "live")
    for other in (Origin("oanda", "practice"), Origin("import", "", "EUR_USD.csv sha256=0")):
        with pytest.raises(ConfigError, match="sepd data download"):
            require_broker(manifest(live, other), "live")


def test_a_dataset_is_named_by_its_chain_and_lists_its_sources() -> None:
    one = manifest(Origin("oanda", "live"), Origin("import"))
    assert one.dataset_id == "EUR_USD.M1@abababababababab"
    assert one.sources == ("import", "oanda")
