from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sepd.domain.market import Granularity
from sepd.errors import ConfigError, InputError
from sepd.history.dataset import Dataset, datasets, read_manifest
from sepd.history.segment import Rows, read_segment
from sepd.market.instruments import instrument_named
from sepd.market.provenance import Origin, Part

HOUR = Granularity.H1.ns
WINDOW = 10 * HOUR
ORIGIN = Origin("oanda", "practice", "test")


def hours(first: int, last: int) -> Rows:
    """Bars of the hours first … last−1, all prices told by the hour."""
    rows = [[n * HOUR, *[100 + n] * 4, *[102 + n] * 4, 1] for n in range(first, last)]
    return np.array(rows, np.int64).reshape(len(rows), 10)


def dataset(root: Path) -> Dataset:
    return Dataset(root, instrument_named("EUR_USD"), Granularity.H1, window_candles=10)


def put(one: Dataset, first: int, last: int) -> int:
    return one.put(hours(first, last), Part(first * HOUR, last * HOUR, 7, ORIGIN))


def test_windows_are_aligned_and_cut_to_the_request(tmp_path: Path) -> None:
    one = dataset(tmp_path)
    assert one.windows(3 * HOUR, 25 * HOUR) == [
        (3 * HOUR, 10 * HOUR),
        (10 * HOUR, 20 * HOUR),
        (20 * HOUR, 25 * HOUR),
    ]


def test_only_what_nobody_was_asked_for_is_missing(tmp_path: Path) -> None:
    one = dataset(tmp_path)
    put(one, 3, 6)
    assert one.missing(0, 20 * HOUR) == [
        (0, 3 * HOUR),
        (6 * HOUR, 10 * HOUR),
        (10 * HOUR, 20 * HOUR),
    ]
    assert one.missing(3 * HOUR, 6 * HOUR) == []


def test_rows_come_back_in_order_however_they_arrived(tmp_path: Path) -> None:
    one = dataset(tmp_path)
    for first, last in ((12, 20), (6, 10), (0, 3), (10, 12), (3, 6)):
        assert put(one, first, last) == last - first
    assert np.array_equal(np.concatenate(list(one.rows())), hours(0, 20))
    assert np.array_equal(np.concatenate(list(one.rows(5 * HOUR, 13 * HOUR))), hours(5, 13))
    assert [candle.bid_open for candle in one.candles(18 * HOUR)] == [118, 119]


@given(st.permutations(range(6)))
def test_the_chain_does_not_depend_on_the_order_of_arrival(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    chains = []
    for places in (range(6), order):
        one = dataset(tmp_path_factory.mktemp("history"))
        for place in places:
            put(one, 5 * place, 5 * place + 5)
        chains.append(one.seal().chain)
    assert chains[0] == chains[1]


def test_the_same_stretch_is_not_taken_twice(tmp_path: Path) -> None:
    one = dataset(tmp_path)
    put(one, 0, 5)
    with pytest.raises(InputError, match="outside the missing stretch"):
        put(one, 4, 6)
    with pytest.raises(InputError, match="outside the missing stretch"):
        one.put(hours(5, 9), Part(5 * HOUR, 8 * HOUR, 7, ORIGIN))


def test_an_answer_without_rows_is_remembered(tmp_path: Path) -> None:
    one = dataset(tmp_path)
    assert one.put(hours(0, 0), Part(0, WINDOW, 7, ORIGIN)) == 0
    assert one.missing(0, WINDOW) == []
    assert one.seal().rows == 0


def test_the_manifest_says_where_everything_comes_from(tmp_path: Path) -> None:
    one = dataset(tmp_path)
    put(one, 0, 5)
    put(one, 10, 12)
    sealed = one.seal()
    assert read_manifest(one.manifest_path) == sealed == one.manifest()
    assert (sealed.rows, sealed.first_ns, sealed.last_ns) == (7, 0, 12 * HOUR)
    assert [segment.rows for segment in sealed.segments] == [5, 2]
    assert sealed.segments[0].parts == (Part(0, 5 * HOUR, 7, ORIGIN),)


def test_a_half_written_segment_is_not_there(tmp_path: Path) -> None:
    one = dataset(tmp_path)
    put(one, 0, 5)
    (path,) = one.paths()
    path.with_suffix(".writing").write_bytes(path.read_bytes()[:40])
    assert one.missing(0, 5 * HOUR) == []
    path.unlink()
    assert one.missing(0, 5 * HOUR) == [(0, 5 * HOUR)]


@pytest.mark.parametrize("cut", [0, 1, 60, -1, -9])
def test_a_truncated_segment_is_refused(tmp_path: Path, cut: int) -> None:
    one = dataset(tmp_path)
    put(one, 0, 5)
    (path,) = one.paths()
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"damaged|no segment"):
        read_segment(path)


@given(st.binary(max_size=400))
def test_no_bytes_crash_the_segment_reader(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("segment") / "1.segment"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_segment(path)


def test_a_segment_of_another_dataset_is_refused(tmp_path: Path) -> None:
    one = dataset(tmp_path)
    put(one, 0, 5)
    other = Dataset(tmp_path, instrument_named("NZD_USD"), Granularity.H1, window_candles=10)
    other.folder.mkdir()
    (path,) = one.paths()
    path.rename(other.folder / path.name)
    with pytest.raises(InputError, match="belongs to another dataset"):
        list(other.rows())


def test_datasets_are_found_by_their_folders(tmp_path: Path) -> None:
    put(Dataset(tmp_path, instrument_named("USD_JPY"), Granularity.H1), 0, 2)
    (tmp_path / "notes.txt").write_text("")
    (found,) = datasets(tmp_path)
    assert (found.instrument.name, found.granularity) == ("USD_JPY", Granularity.H1)
    assert found.instrument.display_precision == 3


def test_the_brokers_precision_is_kept_with_the_prices(tmp_path: Path) -> None:
    asked = replace(instrument_named("EUR_USD"), display_precision=3)
    put(Dataset(tmp_path, asked, Granularity.H1), 0, 2)
    (found,) = datasets(tmp_path)
    assert found.instrument.display_precision == 3
    changed = Dataset(tmp_path, instrument_named("EUR_USD"), Granularity.H1)
    with pytest.raises(InputError, match="has prices of 3 decimals"):
        list(changed.rows())


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        put(dataset(tmp_path / "file"), 0, 1)
