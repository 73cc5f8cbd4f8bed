from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from sepd.domain.market import Granularity, Quote
from sepd.domain.time import parse_time
from sepd.errors import ConfigError, InputError
from sepd.market.rows import Fault
from sepd.market.tape import open_tape, sample_path

TICKS = """time,bid,ask
2014-05-01T00:00:00.292Z,1.38676,1.38686
2014-05-01T00:00:00.920Z,1.38676,1.38687
2014-05-01T00:00:02.870Z,1.38675,1.38688
"""
BAR_HEADER = "time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close"
RISING = "2014-05-01T00:00:00.000Z,1.1,1.4,1.0,1.3,1.2,1.5,1.1,1.4"
FALLING = "2014-05-01T00:01:00.000Z,1.3,1.4,1.0,1.1,1.4,1.5,1.1,1.2"


def tape_file(folder: Path, text: str, name: str = "EUR_USD.tick.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_ticks_become_quotes_in_exact_points(tmp_path: Path) -> None:
    tape = open_tape(tape_file(tmp_path, TICKS))
    assert (tape.instrument.name, tape.granularity, tape.rows) == ("EUR_USD", None, 3)
    first = parse_time("2014-05-01T00:00:00.292Z")
    assert next(tape.quotes()) == Quote("EUR_USD", first, 138676, 138686)
    assert (tape.start_ns, tape.end_ns) == (first, parse_time("2014-05-01T00:00:02.870Z"))
    assert tape.quote_count == len(list(tape.quotes())) == 3
    assert list(tape.candles()) == []


def test_a_gzipped_tape_is_recognised_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "EUR_USD.csv"
    path.write_bytes(gzip.compress(TICKS.encode()))
    assert open_tape(path).rows == 3


def test_a_bar_is_played_as_its_four_recorded_prices(tmp_path: Path) -> None:
    tape = open_tape(tape_file(tmp_path, f"{BAR_HEADER}\n{RISING}\n{FALLING}\n", "EUR_USD.M1.csv"))
    assert tape.granularity is Granularity.M1
    quotes = list(tape.quotes())
    rising, falling = [110, 100, 140, 130], [130, 140, 100, 110]
    assert [q.bid // 1000 for q in quotes] == rising + falling
    assert [q.ask - q.bid for q in quotes] == [10000] * 8
    start, quarter = tape.start_ns, 15_000_000_000
    assert [q.time_ns - start for q in quotes] == [n * quarter for n in range(8)]
    assert tape.end_ns == start + 2 * Granularity.M1.ns


def test_the_instrument_can_be_given_and_sets_the_precision(tmp_path: Path) -> None:
    text = "time,bid,ask\n2014-05-01T00:00:00Z,101.123,101.125\n"
    tape = open_tape(tape_file(tmp_path, text, "ticks.csv"), instrument="USD_JPY")
    assert next(tape.quotes()).bid == 101123


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2014-05-01T00:00:03Z,nan,1.3", "nan"),
        ("2014-05-01T00:00:03Z,1.3,", "nan"),
        ("2014-05-01T00:00:03Z,0,1.3", "zero"),
        ("2014-05-01T00:00:03Z,0.00000,0.00000", "zero"),
        ("2014-05-01T00:00:03Z,-1.3,1.3", "negative"),
        ("2014-05-01T00:00:03Z,1.3,1.2", "crossed"),
        ("2014-05-01T00:00:00Z,1.2,1.3", "out of order"),
        ("2014-05-01T00:00:02.870Z,1.38675,1.38688", "duplicate"),
        ("2014-05-01T00:00:03Z,1.2", "malformed"),
        ("2014-05-01T00:00:03Z,1.2,1.3,1.4", "malformed"),
        ("2014-05-01T00:00:03Z,1.234567,1.3", "malformed"),
        ("2014-05-01T00:00:03Z,1e0,1.3", "malformed"),
        ("2014-05-01T00:00:03Z,inf,1.3", "malformed"),
        ("2014-05-01T00:00:03Z,١.٣,1.3", "malformed"),
        ("2014-13-01T00:00:03Z,1.2,1.3", "malformed"),
        ("yesterday,1.2,1.3", "malformed"),
        ("2014-05-01T00:00:03Z,1" + "0" * 20 + ",1" + "0" * 20, "absurd"),
        ("2014-05-01T00:00:03Z,1" + "0" * 5000 + ",1", "malformed"),
        ("\x00\x01\x02", "malformed"),
    ],
)
def test_a_bad_tick_is_refused_by_reason_and_the_rest_goes_on(
    tmp_path: Path, row: str, reason: str
) -> None:
    last = "2014-05-01T00:00:04Z,1.38675,1.38688\n"
    tape = open_tape(tape_file(tmp_path, f"{TICKS}{row}\n{last}"))
    assert tape.rows == 4
    assert tape.rejected.by_reason == {reason: 1}
    assert (tape.rejected.listed[0].row, tape.rejected.listed[0].reason) == (5, reason)
    assert row.startswith(tape.rejected.listed[0].text)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (RISING, "duplicate"),
        ("2014-04-30T23:59:00.000Z" + RISING[24:], "out of order"),
        ("2014-05-01T00:01:30.000Z" + RISING[24:], "misaligned"),
        ("2014-05-01T00:01:00Z,1.1,1.2,1.0,1.3,1.2,1.5,1.1,1.4", "inconsistent"),
        ("2014-05-01T00:01:00Z,1.1,1.4,1.2,1.3,1.2,1.5,1.3,1.4", "inconsistent"),
        ("2014-05-01T00:01:00Z,1.1,1.6,1.0,1.3,1.2,1.5,1.1,1.4", "crossed"),
        ("2014-05-01T00:01:00Z,1.1,1.6,0.0,1.3,1.2,1.7,1.1,1.4", "zero"),
    ],
)
def test_a_bad_bar_is_refused_by_reason(tmp_path: Path, row: str, reason: str) -> None:
    last = "2014-05-01T00:02:00.000Z" + RISING[24:]
    text = f"{BAR_HEADER}\n{RISING}\n{row}\n{last}\n"
    tape = open_tape(tape_file(tmp_path, text, "EUR_USD.M1.csv"))
    assert (tape.rows, tape.rejected.by_reason) == (2, {reason: 1})


def test_equal_quotes_of_one_millisecond_count_while_the_feed_bursts(tmp_path: Path) -> None:
    burst = "2014-05-01T00:00:02.900Z,1.38675,1.38688\n" * 2
    tape = open_tape(tape_file(tmp_path, TICKS + burst))
    assert (tape.rows, tape.rejected.total) == (5, 0)


def test_different_quotes_may_share_a_millisecond(tmp_path: Path) -> None:
    tape = open_tape(tape_file(tmp_path, TICKS + "2014-05-01T00:00:02.870Z,1.38670,1.38688\n"))
    assert (tape.rows, tape.rejected.total) == (4, 0)


def test_refused_rows_are_listed_up_to_a_bound_and_counted_beyond_it(tmp_path: Path) -> None:
    tape = open_tape(tape_file(tmp_path, TICKS + "x,1,2\n" * 5_000))
    assert tape.rejected.total == 5_000
    assert len(tape.rejected.listed) == 1_000


def test_a_line_without_end_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    tape = open_tape(tape_file(tmp_path, TICKS + "9" * 3_000_000))
    assert tape.rows == 3
    assert tape.rejected.by_reason[Fault.MALFORMED] == tape.rejected.total > 0


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "EUR_USD.csv"
    path.write_bytes(b"\xef\xbb\xbf" + TICKS.replace("\n", "\r\n").encode())
    assert open_tape(path).rows == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"time,price\n1,2\n", "unknown header"),
        (b"\xff\xfe\x00", "unknown header"),
        (b"time,bid,ask\n", "no row is legal"),
        (b"time,bid,ask\n2014-05-01T00:00:00Z,0,0\n", "no row is legal (1 zero)"),
        (gzip.compress(TICKS.encode() * 999)[:-300], "damaged archive"),
        (b"\x1f\x8bnot gzip at all", "damaged archive"),
    ],
)
def test_a_useless_file_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "EUR_USD.tick.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        open_tape(path)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"EUR_USD\.csv: cannot be read: No such file"):
        open_tape(tmp_path / "EUR_USD.csv")


def test_a_file_that_names_no_instrument_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name the instrument"):
        open_tape(tape_file(tmp_path, TICKS, "ticks.csv"))


def test_a_bar_file_that_tells_no_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="how long is a bar"):
        open_tape(tape_file(tmp_path, f"{BAR_HEADER}\n{RISING}\n", "EUR_USD.csv"))


def test_the_sample_is_5000_hours_of_mid_prices_with_the_stated_spread() -> None:
    tape = open_tape(sample_path())
    assert (tape.instrument.name, tape.granularity) == ("EUR_USD", Granularity.H1)
    assert (tape.rows, tape.rejected.total) == (5000, 0)
    first = next(tape.candles())
    assert (first.bid_open, first.ask_open, first.volume) == (107155, 107165, 1413)
    assert {candle.ask_close - candle.bid_close for candle in tape.candles()} == {10}


def test_an_odd_spread_is_exact_and_lies_half_a_point_low() -> None:
    first = next(open_tape(sample_path(), spread_points=7).quotes())
    assert (first.bid, first.ask) == (107156, 107163)


def test_the_sample_is_found_without_importing_its_package() -> None:
    code = (
        "import sys; from sepd.market.tape import open_tape, sample_path;"
        "open_tape(sample_path()); sys.exit(bool({'pandas', 'backtesting'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_sample_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pip install 'sepd\[demo\]'"):
        sample_path()


def test_every_recorded_tick_is_accepted(sepd_data: Path) -> None:
    for name, rows in (("EUR_USD", 321_559), ("NZD_USD", 274_268)):
        tape = open_tape(sepd_data / f"oanda/{name}.tick.csv.gz")
        assert (tape.rows, tape.rejected.total) == (rows, 0)
