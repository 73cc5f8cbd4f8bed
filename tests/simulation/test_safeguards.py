"""Without any one of its safeguards the daemon breaks a rule within a bounded number of seeds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from sepd.market.tape import sample_path
from sepd.simulation.options import Options
from sepd.simulation.run import Outcome, simulate
from tests.simulation.safeguards import ACROSS, CAUGHT_AT, OFF, switch_off

SEEDS = 2_000
NEAR = 15
MINUTES = 20.0


def broken(seeds: Iterator[int], options: Options) -> Outcome | None:
    """The first of `seeds` that breaks a rule."""
    for seed in seeds:
        outcome = simulate(seed, options)
        if outcome.violations:
            return outcome
    return None


@pytest.fixture
def tapes(name: str, request: pytest.FixtureRequest) -> tuple[Path, ...]:
    """Two pairs for what concerns several; the sample for everything else."""
    if name in ACROSS:
        both: tuple[Path, ...] = request.getfixturevalue("both_tapes")
        return both
    return (sample_path(),)


def test_there_are_enough_of_them() -> None:
    assert len(OFF) >= 25
    assert set(CAUGHT_AT) == set(OFF) > ACROSS
    assert max(CAUGHT_AT.values()) < SEEDS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", OFF)
def test_a_missing_safeguard_is_caught(
    name: str, tapes: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seed that is known to catch it is tried first, then the first few of all."""
    options = Options(tapes, MINUTES)
    with_it = simulate(CAUGHT_AT[name], options)
    assert not with_it.violations, with_it.violations[0]
    switch_off(name, monkeypatch)
    assert broken(chain([CAUGHT_AT[name]], range(NEAR)), options)
