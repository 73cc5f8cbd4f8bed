"""The daemon under faults: some seeds hold, runs repeat, and what is broken is shown."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sepd.market.tape import sample_path
from sepd.simulation.faults import FEWEST, Kind, draw
from sepd.simulation.minimise import minimise
from sepd.simulation.options import Options
from sepd.simulation.run import simulate

SEEDS = 300


def options(minutes: float = 30.0, keep: tuple[int, ...] | None = None) -> Options:
    return Options((sample_path(),), minutes, keep)


def test_every_plan_has_enough_faults_and_every_kind_occurs() -> None:
    plans = [draw(seed, 1_800.0) for seed in range(300)]
    assert min(map(len, plans)) >= FEWEST >= 10
    assert {fault.kind for plan in plans for fault in plan} == set(Kind)
    assert draw(7, 1_800.0) == draw(7, 1_800.0) != draw(8, 1_800.0)


@pytest.mark.timeout(600)
def test_seeds_hold_under_faults(recorded_tapes: tuple[Path, ...]) -> None:
    """A failing seed says how to run it again."""
    faults: Counter[str] = Counter()
    orders = 0
    chosen = Options(recorded_tapes)
    for seed in range(SEEDS):
        outcome = simulate(seed, chosen)
        assert not outcome.violations, f"{chosen.command(seed)}: {outcome.violations[0]}"
        orders += outcome.orders
        faults.update(outcome.faults)
    assert orders >= 20 * SEEDS
    assert sum(faults.values()) >= 10 * SEEDS
    assert len(faults) >= 30


def test_the_same_seed_runs_the_same_way() -> None:
    first, second = simulate(1_000, options(10)), simulate(1_000, options(10))
    assert first == second
    assert simulate(1_001, options(10)).digest != first.digest


def test_a_run_without_faults_trades_from_one_start() -> None:
    outcome = simulate(5, options(5, keep=()))
    assert (outcome.faults, outcome.violations) == ({}, ())
    assert outcome.starts == 2  # the second one is part of healing
    assert outcome.orders > 10


def test_a_failing_seed_is_brought_down_to_the_faults_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a watcher that calls every crash a violation, only the crash is left."""
    from sepd.simulation.machine import Machine

    kill = Machine.kill

    def told(machine: Machine, restart_after_s: float, *, silently: bool) -> None:
        machine._violated("no_crash", "it crashed")
        kill(machine, restart_after_s, silently=silently)

    monkeypatch.setattr(Machine, "kill", told)
    seed = next(s for s in range(100) if any(f.kind is Kind.CRASH for f in draw(s, 600.0)))
    failed = simulate(seed, options(10))
    fewest, outcome = minimise(failed, options(10))
    assert fewest.keep is not None
    assert len(fewest.keep) == 1
    assert outcome.violations[0].rule == "no_crash"
