"""Many seeds on all cores, and one report of them."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from sepd.simulation.options import Options
from sepd.simulation.run import Outcome, simulate


class Failure(Struct, frozen=True):
    """A seed that broke a rule, or that ran differently the second time."""

    seed: int
    rule: str
    what: str
    at_s: float


class Summary(Struct, frozen=True):
    """What a campaign found. `hash` is over the hashes of all seeds, in their order."""

    first: int
    seeds: int
    twice: int
    faults: dict[str, int]
    violations: tuple[Failure, ...]
    orders: int
    starts: int
    virtual_s: float
    cpu_s: float
    hash: str


class Seen(Struct, frozen=True):
    """One seed as the campaign remembers it."""

    outcome: Outcome
    cpu_s: float
    repeated: bool
    differs: bool


def outcomes(seeds: Sequence[int], options: Options, twice: float, jobs: int) -> Iterator[Seen]:
    """Run all seeds, in order of the seeds, on `jobs` processes.

    Args:
        twice: part of the seeds that is run twice, to see that both runs have one hash.
    """
    every = round(1 / twice) if twice else 0
    work = [(seed, bool(every) and number % every == 0) for number, seed in enumerate(seeds)]
    if jobs <= 1:
        yield from (_run(item, options) for item in work)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(partial(_run, options=options), work, chunksize=4)


def summary(seen: Iterator[Seen], first: int) -> Summary:
    """Add everything up."""
    faults: Counter[str] = Counter()
    failures: list[Failure] = []
    digest = hashlib.sha256()
    seeds = twice = orders = starts = 0
    virtual_s = cpu_s = 0.0
    for item in seen:
        outcome = item.outcome
        seeds, twice = seeds + 1, twice + item.repeated
        orders, starts = orders + outcome.orders, starts + outcome.starts
        virtual_s, cpu_s = virtual_s + outcome.virtual_s, cpu_s + item.cpu_s
        faults.update(outcome.faults)
        digest.update(outcome.digest.encode())
        failures += [Failure(outcome.seed, v.rule, v.what, v.at_s) for v in outcome.violations]
        if item.differs:
            failures.append(Failure(outcome.seed, "same_seed_same_run", "the hashes differ", 0.0))
    return Summary(
        first=first,
        seeds=seeds,
        twice=twice,
        faults=dict(sorted(faults.items())),
        violations=tuple(failures),
        orders=orders,
        starts=starts,
        virtual_s=round(virtual_s, 3),
        cpu_s=round(cpu_s, 3),
        hash=digest.hexdigest(),
    )


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _run(item: tuple[int, bool], options: Options) -> Seen:
    seed, repeated = item
    began_s = os.times().user
    outcome = simulate(seed, options)
    cpu_s = os.times().user - began_s
    differs = repeated and simulate(seed, options).digest != outcome.digest
    if not outcome.violations:
        outcome = replace(outcome, log=())
    return Seen(outcome, cpu_s, repeated, differs)
