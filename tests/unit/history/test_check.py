from __future__ import annotations

import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from sepd.domain.market import Granularity
from sepd.domain.time import format_time, parse_time
from sepd.errors import InputError
from sepd.history.check import holes, sample_again, verify
from sepd.history.dataset import Dataset
from sepd.history.files import import_candles_of, import_tape
from sepd.history.segment import read_segment, sealed, write_segment
from sepd.market.calendar import Stretch, load_calendar
from sepd.market.instruments import instrument_named
from sepd.market.provenance import Origin, Part
from sepd.market.tape import open_tape, sample_path
from tests.support.history import TapeBroker, rows_of

HOUR = Granularity.H1.ns
CALENDAR = load_calendar()
BROKER = Origin("oanda", "practice", "test")


@pytest.fixture
def sample(tmp_path: Path) -> Dataset:
    """The EUR/USD sample as a dataset that the broker gave."""
    tape = open_tape(sample_path())
    one = Dataset(tmp_path, tape.instrument, Granularity.H1)
    rows = rows_of(tape)
    for from_ns, to_ns in one.windows(tape.start_ns, tape.end_ns):
        inside = rows[(rows[:, 0] >= from_ns) & (rows[:, 0] < to_ns)]
        one.put(inside, Part(from_ns, to_ns, 7, BROKER))
    one.seal()
    return one


def test_untouched_data_has_no_findings(sample: Dataset) -> None:
    verdict = verify(sample, CALENDAR)
    assert (verdict.rows, verdict.findings) == (5_000, ())
    assert verdict.chain == sample.manifest().chain
    assert "missing" not in verdict.holes


@pytest.mark.parametrize("place", [0, 17, 1_200])
@pytest.mark.parametrize("column", [1, 8, 9])
def test_an_altered_row_is_named(sample: Dataset, place: int, column: int) -> None:
    path = sample.paths()[1]
    segment = read_segment(path)
    time_ns = int(segment.rows[place, 0])
    content = bytearray(path.read_bytes())
    at = content.index(b"\n") + 1 + 8 * (10 * place + column)
    content[at] ^= 1
    path.write_bytes(content)
    findings = verify(sample, CALENDAR).findings
    assert findings[0].place == format_time(time_ns)
    assert "the row was altered" in findings[0].what


def test_a_segment_sealed_anew_with_other_prices_is_found(sample: Dataset) -> None:
    path = sample.paths()[0]
    segment = read_segment(path)
    segment.rows[3, 9] += 1
    header = segment.header
    forged = sealed(sample.instrument, "H1", header.start_ns, segment.rows, header.parts)
    write_segment(path, forged)
    (finding,) = verify(sample, CALENDAR).findings
    assert finding.place == format_time(header.start_ns)
    assert "not the one that the manifest sealed" in finding.what


def test_a_row_altered_together_with_its_digest_is_found(sample: Dataset) -> None:
    path = sample.paths()[0]
    segment = read_segment(path)
    segment.rows[3, 9] += 1
    header = segment.header
    forged = sealed(sample.instrument, "H1", header.start_ns, segment.rows, header.parts)
    write_segment(path, replace(forged, header=header))
    (finding,) = verify(sample, CALENDAR).findings
    assert "the rows are not those it sealed" in finding.what


def test_a_missing_segment_is_found(sample: Dataset) -> None:
    sample.paths()[0].unlink()
    assert any("segment is missing" in one.what for one in verify(sample, CALENDAR).findings)


def test_a_damaged_segment_is_found_and_the_rest_is_checked(sample: Dataset) -> None:
    path = sample.paths()[0]
    path.write_bytes(path.read_bytes()[:-1])
    verdict = verify(sample, CALENDAR)
    assert any("damaged" in one.what for one in verdict.findings)
    assert verdict.rows == sum(len(read_segment(one).rows) for one in sample.paths()[1:])
    assert verdict.holes == {}


def test_without_a_manifest_nothing_can_be_verified(sample: Dataset) -> None:
    sample.manifest_path.unlink()
    with pytest.raises(InputError, match="was never finished"):
        verify(sample, CALENDAR)


def test_holes_are_what_the_calendar_and_the_origin_say(tmp_path: Path) -> None:
    friday = parse_time("2014-05-02T18:00:00Z")
    path = tmp_path / "EUR_USD.H1.csv"
    stamps = [friday, friday + 2 * HOUR, friday + 60 * HOUR]
    bars = [f"{format_time(time_ns)},1,1,1,1,2,2,2,2" for time_ns in stamps]
    header = "time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close"
    path.write_text("\n".join([header, *bars]))
    import_tape(tmp_path / "history", open_tape(path), 7)
    one = Dataset(tmp_path / "history", instrument_named("EUR_USD"), Granularity.H1)
    kinds = [(hole.kind, (hole.to_ns - hole.from_ns) // HOUR) for hole in holes(one, CALENDAR)]
    assert kinds == [(Stretch.QUIET, 1), (Stretch.CLOSED, 48), (Stretch.MISSING, 9)]


async def test_a_sample_asked_again_agrees(sample: Dataset) -> None:
    broker = TapeBroker(open_tape(sample_path()))
    compared, findings = await sample_again(sample, broker, random.Random(1), 8)
    assert compared > 60
    assert findings == []


async def test_a_sample_asked_again_names_what_differs(sample: Dataset) -> None:
    broker = TapeBroker(open_tape(sample_path()))
    broker.alter = lambda candle: replace(candle, bid_close=candle.bid_close - 1)
    compared, findings = await sample_again(sample, broker, random.Random(1), 2)
    assert 0 < compared == len(findings)
    assert "the broker says" in findings[0].what


def test_candles_from_ticks_agree_with_the_recorded_ones(sepd_data: Path, tmp_path: Path) -> None:
    bars = open_tape(sepd_data / "oanda/EUR_USD.M1.csv.gz")
    ticks = open_tape(sepd_data / "oanda/EUR_USD.tick.csv.gz")
    assert import_tape(tmp_path, bars, 7).added == 9_552
    again = import_candles_of(tmp_path, ticks, Granularity.M1, 8)
    assert (again.known, again.differing, again.added) == (9_552, 0, 0)
    assert import_tape(tmp_path, ticks, 9).added == 321_559
    assert import_tape(tmp_path, ticks, 9).known == 321_559
