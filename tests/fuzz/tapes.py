"""Parsers of price files under damage, with an oracle for every row that they accept."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from sepd.errors import InputError
from sepd.market.foreign import foreign_layout
from sepd.market.layouts import layout_of
from sepd.market.tape import Tape, tape_in
from tests.fuzz.mutate import mutated
from tests.fuzz.oracle import (
    SPREAD,
    Fields,
    read_bar,
    read_dukascopy,
    read_dukascopy_bar,
    read_histdata,
    read_histdata_tick,
    read_lean,
    read_lean_hour,
    read_metatrader,
    read_mid,
    read_tick,
)


class Case(Struct, frozen=True):
    """A kind of file: its name, a valid text, and the oracle's reading of one line."""

    name: str
    valid: str
    read: Callable[[str], Fields | None]


CASES = {
    "ticks": Case(
        "EUR_USD.csv",
        "time,bid,ask\n2014-05-01T00:00:00.292Z,1.38676,1.38686\n"
        "2014-05-01T00:00:00.920Z,1.38676,1.38687\n2014-05-01T00:00:02.870Z,1.38675,1.38688\n",
        read_tick,
    ),
    "bars": Case(
        "EUR_USD.M1.csv",
        "time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close\n"
        "2014-05-01T00:00:00.000Z,1.38676,1.38686,1.38669,1.38686,1.38686,1.38697,1.3868,1.38697\n"
        "2014-05-01T00:01:00.000Z,1.38688,1.38688,1.38685,1.38685,1.387,1.387,1.38696,1.38698\n",
        read_bar,
    ),
    "mid bars": Case(
        "EURUSD.H1.csv",
        ",Open,High,Low,Close,Volume\n2017-04-19 09:00:00,1.0716,1.0722,1.07083,1.07219,1413\n"
        "2017-04-19 10:00:00,1.07214,1.07296,1.07214,1.0726,1241\n",
        read_mid,
    ),
    "LEAN": Case(
        "20140501_eurusd_minute_quote.csv",
        "0,1.38676,1.38686,1.38669,1.38686,0,1.38686,1.38697,1.3868,1.38697,0\n"
        "60000,1.38688,1.38688,1.38685,1.38685,0,1.387,1.387,1.38696,1.38698,0\n",
        read_lean,
    ),
    "Dukascopy": Case(
        "EURUSD_Ticks.csv",
        "Gmt time,Ask,Bid,AskVolume,BidVolume\n01.05.2014 00:00:00.292,1.38686,1.38676,1.5,0.75\n"
        "01.05.2014 00:00:02.870,1.38688,1.38675,1.5,0.75\n",
        read_dukascopy,
    ),
    "HistData": Case(
        "DAT_ASCII_EURUSD_M1_2012.csv",
        "20120201 000000;1.306600;1.306600;1.306560;1.306560;0\n"
        "20120201 000100;1.306570;1.306570;1.306470;1.306560;0\n",
        read_histdata,
    ),
    "LEAN hours": Case(
        "eurusd.csv",
        "20070101 21:00,1.31927,1.31955,1.3187,1.31935,0,1.32027,1.32055,1.3197,1.32035,0\n"
        "20070101 22:00,1.31935,1.3202,1.31925,1.32,0,1.32035,1.3212,1.32025,1.321,0\n",
        read_lean_hour,
    ),
    "HistData ticks": Case(
        "DAT_ASCII_EURUSD_T_201202.csv",
        "20120201 000003660,1.306600,1.306770,0\n20120201 000003973,1.306580,1.306750,0\n",
        read_histdata_tick,
    ),
    "HistData MetaTrader": Case(
        "DAT_MT_EURUSD_M1_201202.csv",
        "2012.02.01,00:00,1.306600,1.306600,1.306560,1.306560,0\n"
        "2012.02.01,00:01,1.306570,1.306570,1.306470,1.306560,0\n",
        read_metatrader,
    ),
    "Dukascopy bars": Case(
        "EURUSD_Candlestick_1_M_BID.csv",
        "Gmt time,Open,High,Low,Close,Volume\n"
        "01.05.2014 00:00:00.000,1.38676,1.38686,1.38669,1.38686,71.25\n"
        "01.05.2014 00:01:00.000,1.38686,1.38686,1.38685,1.38686,3\n",
        read_dukascopy_bar,
    ),
}


def fuzz_tape(kind: str) -> Callable[[random.Random], str]:
    """One damaged file of a kind; says `accepted` or `refused`."""
    case = CASES[kind]
    valid = case.valid.encode()

    def once(rng: random.Random) -> str:
        data = mutated(rng, valid)
        try:
            tape = tape_in(Path(case.name), io.BytesIO(data), "EUR_USD", SPREAD)
        except InputError:
            return "refused"
        judge(case, data, tape)
        return "accepted"

    return once


def judge(case: Case, data: bytes, tape: Tape) -> None:
    """Every accepted row is in the file, reads the same another way, and is legal."""
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", "replace").read()
    lines = text.removesuffix("\n").split("\n")
    rows = list(zip(*tape.columns, strict=True))
    check_legal(rows, tape.granularity is not None)
    if max(map(len, lines)) > 60_000 or data[:2] in (b"\x1f\x8b", b"PK"):
        return
    known = layout_of(lines[0], 5, SPREAD) or foreign_layout(lines[0], case.name, 5, SPREAD)
    assert known is not None
    valid = layout_of(case.valid.split("\n")[0], 5, SPREAD) or foreign_layout(
        case.valid.split("\n")[0], case.name, 5, SPREAD
    )
    if valid is None or (known.name, known.has_header) != (valid.name, valid.has_header):
        return
    refused = {row.row for row in tape.rejected.listed}
    first = 2 if known.has_header else 1
    taken = [
        line
        for number, line in enumerate(lines[first - 1 :], first)
        if number not in refused and line.strip()
    ]
    width = 3 if tape.granularity is None else 9
    assert [row[:width] for row in rows] == [case.read(line) for line in taken]
    if known.name.startswith("Dukascopy"):
        assert {line.count(",") for line in taken} == {lines[0].count(",")}


def check_legal(rows: list[tuple[int, ...]], bars: bool) -> None:
    """Positive, uncrossed, ordered, consistent."""
    last = -1
    for time, *prices in rows:
        half = 4 if bars else 1
        bid, ask = prices[:half], prices[half : 2 * half]
        assert all(0 < low <= high for low, high in zip(bid, ask, strict=True))
        assert time > last if bars else time >= last
        last = time
        if bars:
            for side in (bid, ask):
                assert side[1] == max(side)
                assert side[2] == min(side)


def fuzz_archive(rng: random.Random) -> str:
    """Damaged gzip and zip files."""
    data = mutated(rng, rng.choice(_ARCHIVES))
    try:
        tape = tape_in(Path("EUR_USD.csv"), io.BytesIO(data), "EUR_USD", SPREAD)
    except InputError:
        return "refused"
    check_legal(list(zip(*tape.columns, strict=True)), tape.granularity is not None)
    return "accepted"


def _archives() -> Iterator[bytes]:
    valid = CASES["ticks"].valid
    yield gzip.compress(valid.encode(), mtime=0)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w", method) as archive:
            archive.writestr("EUR_USD.csv", valid)
        yield memory.getvalue()


_ARCHIVES = tuple(_archives())
