"""Which recorded prices a seed plays, and when."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest

from sepd.cli.app import run
from sepd.errors import InputError
from sepd.market.tape import sample_path
from sepd.simulation.evidence import Truth
from sepd.simulation.prices import BASE, STEP_NS, check, cut, play, recorded

S = 1_000_000_000
HALF_HOUR_S = 1_800.0
HEADER = "time,bid,ask\n"


def tape(folder: Path, name: str) -> Path:
    """A tape of a few quotes."""
    path = folder / f"{name}.csv"
    rows = (f"2024-01-02T00:00:{n:02}Z,1.1000{n % 9},1.1001{n % 9}" for n in range(60))
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def test_only_recorded_prices_are_played_in_their_order() -> None:
    cutting = cut(sample_path(), random.Random(3), HALF_HOUR_S)
    whole, rows = recorded(sample_path())
    bids = cutting.columns[1].tolist()
    found = [n for n in range(len(rows)) if rows[n : n + len(bids), 1].tolist() == bids]
    assert found
    assert cutting.instrument == whole.instrument
    times = cutting.columns[0].tolist()
    assert {b - a for a, b in pairwise(times)} == {STEP_NS}
    assert cutting.start_ns % BASE.ns == 0


def test_one_tape_is_cut_as_if_there_could_be_no_other() -> None:
    alone = play((sample_path(),), random.Random(3), HALF_HOUR_S)
    assert [t.columns for t in alone] == [cut(sample_path(), random.Random(3), HALF_HOUR_S).columns]


def test_seeds_play_either_pair_or_both(both_tapes: tuple[Path, ...]) -> None:
    played = [play(both_tapes, random.Random(seed), HALF_HOUR_S) for seed in range(60)]
    names = {tuple(t.instrument.name for t in tapes) for tapes in played}
    assert names == {("EUR_USD",), ("NZD_USD",), ("EUR_USD", "NZD_USD")}


def test_several_pairs_are_quoted_half_as_often_and_never_together(
    both_tapes: tuple[Path, ...],
) -> None:
    drawn = (play(both_tapes, random.Random(seed), HALF_HOUR_S) for seed in range(40))
    both = [tapes for tapes in drawn if len(tapes) == 2]
    apart = {tapes[1].start_ns - tapes[0].start_ns for tapes in both}
    assert apart == {STEP_NS, 2_000_000}
    for tapes in both:
        for part in tapes:
            times = part.columns[0].tolist()
            assert {b - a for a, b in pairwise(times)} == {2 * STEP_NS}
        assert not set(tapes[0].columns[0]) & set(tapes[1].columns[0])


def test_the_truth_spans_what_was_the_newest_quote_at_any_instant() -> None:
    (part,) = play((sample_path(),), random.Random(1), 60.0)
    times, bids, asks = part.columns
    truth = Truth((part,))
    point = part.instrument.point
    at_ns = times[5]
    low, high = truth.span("EUR_USD", at_ns + 1, at_ns + 2)
    assert (low, high) == (bids[5] * point, asks[5] * point)
    low, high = truth.span("EUR_USD", at_ns - 1, times[7])
    assert (low, high) == (min(bids[4:8]) * point, max(asks[4:8]) * point)


def test_two_tapes_of_one_pair_are_refused(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    once, again = tape(tmp_path, "EUR_USD"), tape(tmp_path / "again", "EUR_USD")
    with pytest.raises(InputError, match="both price EUR_USD: give one tape of each pair"):
        check((once, again))


def test_a_pair_without_the_home_currency_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="EUR_GBP has no USD"):
        check((tape(tmp_path, "EUR_GBP"),))


def test_the_command_refuses_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "again").mkdir()
    paths = [tape(tmp_path, "EUR_USD"), tape(tmp_path / "again", "EUR_USD")]
    assert run(["simulate", *(f"--tape={path}" for path in paths)]) == 2
    assert "give one tape of each pair." in capsys.readouterr().err
