"""Without any one of its safeguards the daemon breaks a rule within a bounded number of seeds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from sepd.market.tape import sample_path
from sepd.simulation.run import Options, Outcome, simulate
from tests.simulation.safeguards import CAUGHT_AT, OFF, switch_off

SEEDS = 2_000
NEAR = 15
MINUTES = 20.0


def broken(seeds: Iterator[int]) -> Outcome | None:
    """The first of `seeds` that breaks a rule."""
    for seed in seeds:
        outcome = simulate(seed, Options((sample_path(),), MINUTES))
        if outcome.violations:
            return outcome
    return None


def test_there_are_enough_of_them() -> None:
    assert len(OFF) >= 25
    assert set(CAUGHT_AT) == set(OFF)
    assert max(CAUGHT_AT.values()) < SEEDS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", OFF)
def test_a_missing_safeguard_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed that is known to catch it is tried first, then the first few of all."""
    with_it = simulate(CAUGHT_AT[name], Options((sample_path(),), MINUTES))
    assert not with_it.violations, with_it.violations[0]
    switch_off(name, monkeypatch)
    assert broken(chain([CAUGHT_AT[name]], range(NEAR)))
