from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from sepd.domain.market import Granularity
from sepd.domain.time import parse_time
from sepd.errors import InputError
from sepd.market.tape import Tape, open_tape


def tape(folder: Path, name: str, *lines: str) -> Tape:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return open_tape(path)


def first_bar(one: Tape) -> tuple[int, ...]:
    candle = next(one.candles())
    return (
        candle.bid_open,
        candle.bid_high,
        candle.bid_low,
        candle.bid_close,
        candle.ask_open,
        candle.ask_high,
        candle.ask_low,
        candle.ask_close,
        candle.volume,
    )


def test_a_lean_minute_file_counts_from_the_midnight_in_its_name(tmp_path: Path) -> None:
    one = tape(
        tmp_path,
        "20140501_eurusd_minute_quote.csv",
        "60000,1.38676,1.38686,1.38669,1.38686,0,1.38686,1.38697,1.3868,1.38697,0",
        "120000,1.38688,1.38688,1.38685,1.38685,7,1.387,1.387,1.38696,1.38698,9",
    )
    assert (one.instrument.name, one.granularity) == ("EUR_USD", Granularity.M1)
    assert one.start_ns == parse_time("2014-05-01T00:01:00Z")
    prices = (138676, 138686, 138669, 138686, 138686, 138697, 138680, 138697, 0)
    assert first_bar(one) == prices
    assert one.both_sides


def test_a_lean_zip_is_read_by_the_name_of_its_member(tmp_path: Path) -> None:
    path = tmp_path / "20140501_quote.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "20140501_nzdusd_tick_quote.csv", "2230,0.86074,0.86101\n2244.5,0.86072,0.861\n"
        )
    one = open_tape(path)
    assert (one.instrument.name, one.granularity, one.rows) == ("NZD_USD", None, 2)
    assert [quote.time_ns for quote in one.quotes()] == [
        parse_time("2014-05-01T00:00:02.230Z"),
        parse_time("2014-05-01T00:00:02.2445Z"),
    ]


def test_a_lean_hour_file_is_recognised_by_its_rows(tmp_path: Path) -> None:
    one = tape(
        tmp_path,
        "eurusd.csv",
        "20070101 21:00,1.31927,1.31955,1.3187,1.31935,0,1.32027,1.32055,1.3197,1.32035,0",
        "20070101 22:00,1.31935,1.3202,1.31925,1.32,0,1.32035,1.3212,1.32025,1.321,0",
    )
    assert (one.granularity, one.rows) == (Granularity.H1, 2)
    assert one.start_ns == parse_time("2007-01-01T21:00:00Z")


@pytest.mark.parametrize(
    "time", ["01.05.2014 00:00:00.292", "2014.05.01 00:00:00.292", "1398902400292"]
)
def test_dukascopy_ticks_put_the_ask_first(tmp_path: Path, time: str) -> None:
    header = "Gmt time,Ask,Bid,AskVolume,BidVolume"
    one = tape(tmp_path, "EURUSD_Ticks_01.05.2014.csv", header, f"{time},1.38686,1.38676,1.5,0.75")
    quote = next(one.quotes())
    assert (quote.bid, quote.ask) == (138676, 138686)
    assert quote.time_ns == parse_time("2014-05-01T00:00:00.292Z")


@pytest.mark.parametrize(("side", "bid"), [("BID", 138676), ("ASK", 138666)])
def test_dukascopy_bars_are_one_side_and_the_stated_spread(
    tmp_path: Path, side: str, bid: int
) -> None:
    one = tape(
        tmp_path,
        f"EURUSD_Candlestick_1_M_{side}_01.05.2014-02.05.2014.csv",
        "Gmt time,Open,High,Low,Close,Volume",
        "01.05.2014 00:00:00.000,1.38676,1.38686,1.38669,1.38686,71.25",
        "01.05.2014 00:01:00.000,1.38686,1.38686,1.38686,1.38686,0",
        "01.05.2014 00:02:00.000,1.38688,1.38688,1.38685,1.38685,3",
        "01.05.2014 00:03:00.000,1.38688,1.38688,1.38685,1.38685,3",
    )
    assert first_bar(one)[0] == bid
    assert first_bar(one)[4] == bid + 10
    assert (one.rows, one.rejected.by_reason) == (3, {"repeated without ticks": 1})
    assert not one.both_sides


def test_histdata_keeps_eastern_standard_time_all_year(tmp_path: Path) -> None:
    one = tape(
        tmp_path,
        "DAT_ASCII_EURUSD_M1_201207.csv",
        "20120701 170000;1.266600;1.266600;1.266560;1.266560;0",
    )
    assert (one.instrument.name, one.granularity) == ("EUR_USD", Granularity.M1)
    assert one.start_ns == parse_time("2012-07-01T22:00:00Z")
    assert first_bar(one) == (126660, 126660, 126656, 126656, 126670, 126670, 126666, 126666, 0)


def test_histdata_metatrader_and_ticks(tmp_path: Path) -> None:
    bars = tape(
        tmp_path,
        "DAT_MT_EURUSD_M1_201202.csv",
        "2012.02.01,00:00,1.306600,1.306600,1.306560,1.306560,0",
    )
    ticks = tape(
        tmp_path, "DAT_ASCII_EURUSD_T_201202.csv", "20120201 000003660,1.306600,1.306770,0"
    )
    assert bars.start_ns == parse_time("2012-02-01T05:00:00Z")
    assert next(ticks.quotes()).time_ns == parse_time("2012-02-01T05:00:03.660Z")
    assert (next(ticks.quotes()).bid, next(ticks.quotes()).ask) == (130660, 130677)


@pytest.mark.parametrize(
    ("name", "good", "bad", "reason"),
    [
        (
            "20140501_eurusd_tick_quote.csv",
            "2230,1.1,1.2",
            ["x,1.1,1.2", "2231,1.1", "-1,1.1,1.2", "2232,1.2,1.1"],
            {"malformed": 3, "crossed": 1},
        ),
        (
            "DAT_ASCII_EURUSD_T_201202.csv",
            "20120201 000003660,1.3066,1.30677,0",
            ["20120201 000003660,1.3066", "20129901 000003660,1.3066,1.30677,0"],
            {"malformed": 2},
        ),
        (
            "DAT_MT_EURUSD_M1_201202.csv",
            "2012.02.01,00:00,1.3,1.3,1.3,1.3,0",
            ["2012.02.01,00:01,1.3,1.3,1.3", "2012.02.01,00:02,0,1.3,1.3,1.3,0"],
            {"malformed": 1, "zero": 1},
        ),
        (
            "eurusd.csv",
            "20070101 21:00,1,1,1,1,0,2,2,2,2,0",
            ["20070101 22:00,1,1,1,1,0,2,2,2", "20070101 23:00,1,1,1,NaN,0,2,2,2,2,0"]
            + [f"20070102 0{hour}:00,1,1,1,1,0,2,2,2,2,0" for hour in range(3)],
            {"malformed": 1, "nan": 1},
        ),
        (
            "DAT_ASCII_EURUSD_M1_2012.csv",
            "20120201 000000;1.3;1.3;1.3;1.3;0",
            ["20120201 0001000;1.3;1.3;1.3;1.3;0", "20120201 00:01:00;1.3;1.3;1.3;1.3;0"],
            {"malformed": 2},
        ),
    ],
)
def test_bad_rows_of_other_programs_are_refused_by_reason(
    tmp_path: Path, name: str, good: str, bad: list[str], reason: dict[str, int]
) -> None:
    assert tape(tmp_path, name, good, *bad).rejected.by_reason == reason


@pytest.mark.parametrize(
    ("members", "words"),
    [({}, "holds 0 CSV files"), ({"a.csv": "", "b.csv": ""}, "holds 2 CSV files")],
)
def test_a_zip_must_hold_one_table(tmp_path: Path, members: dict[str, str], words: str) -> None:
    path = tmp_path / "EUR_USD.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing here")
        for name, text in members.items():
            archive.writestr(name, text)
    with pytest.raises(InputError, match=words):
        open_tape(path)


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "EUR_USD.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("EUR_USD.csv", "time,bid,ask\n" + "x" * 100_000)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged archive"):
        open_tape(path)


def test_lean_files_in_another_time_zone_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "forex/fxcm/hour"
    folder.mkdir(parents=True)
    with pytest.raises(InputError, match="keeps FXCM files in UTC−5"):
        tape(folder, "eurusd.csv", "20070101 21:00,1,1,1,1,0,2,2,2,2,0")
