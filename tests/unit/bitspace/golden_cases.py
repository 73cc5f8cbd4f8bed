"""The golden cases that ship with the package, computed by the scalar oracle."""

import numpy as np

from sepd.bitspace import COLUMNS
from sepd.bitspace.golden import digest
from tests.unit.bitspace import oracle

# name, window, order, iterations, tolerance, share of ones, segment lengths
CASES = (
    ("default", 64, 1, 16, 0, 0.5, (230,)),
    ("trend", 64, 3, 16, 0, 0.9, (150,)),
    ("ragged", 64, 2, 16, 0, 0.6, (64, 1, 79, 80, 130)),
    ("odd window", 33, 4, 16, 0, 0.3, (70, 129)),
    ("small window", 3, 1, 16, 0, 0.5, (100, 63)),
    ("deep context", 40, 8, 16, 0, 0.5, (200,)),
    ("long damping", 17, 2, 64, 0, 0.8, (220,)),
    ("tolerance", 12, 1, 16, 40, 0.8, (150,)),
    ("metrics alone", 48, 5, 0, 0, 0.4, (130,)),
    ("all ones", 64, 1, 16, 0, 1.0, (130,)),
    ("all zeros", 64, 1, 16, 0, 0.0, (130,)),
)


def documents() -> list[dict[str, object]]:
    return [_document(seed, *case) for seed, case in enumerate(CASES)]


def _document(
    seed: int,
    name: str,
    window: int,
    order: int,
    iterations: int,
    tolerance: int,
    ones: float,
    lengths: tuple[int, ...],
) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    bits = (rng.random(sum(lengths)) < ones).astype(int).tolist()
    expectation = rng.integers(0, 2, 1 << order).tolist() if order > 1 else [0, 1]
    starts = np.cumsum((0, *lengths[:-1])).tolist()
    rows = oracle.rows(bits, starts, window, order, expectation, iterations, tolerance)
    columns = np.array(rows, np.int32).T
    names = COLUMNS if iterations else COLUMNS[:8]
    return {
        "name": name,
        "window": window,
        "order": order,
        "expectation": expectation,
        "iterations": iterations,
        "tolerance": tolerance,
        "bits": "".join(map(str, bits)),
        "starts": starts,
        "digests": {key: digest(column) for key, column in zip(names, columns, strict=False)},
    }
