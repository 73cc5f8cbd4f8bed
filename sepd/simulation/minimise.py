"""From a failing seed to the few faults that it takes, and the log of that run."""

from __future__ import annotations

from msgspec.structs import replace

from sepd.simulation.options import Options
from sepd.simulation.run import Outcome, planned, simulate


def minimise(failed: Outcome, options: Options) -> tuple[Options, Outcome]:
    """Leave out faults one by one as long as the first broken rule stays broken.

    Returns:
        options under which the seed fails with the fewest faults found, and that run.
    """
    rule = failed.violations[0].rule
    numbers = options.keep
    if numbers is None:
        numbers = tuple(range(len(planned(failed.seed, options))))
    best = replace(options, keep=numbers), failed
    for number in numbers:
        fewer = replace(options, keep=tuple(n for n in best[0].keep or () if n != number))
        outcome = simulate(failed.seed, fewer)
        if any(violation.rule == rule for violation in outcome.violations):
            best = fewer, outcome
    return best
