"""Every window and order over hard bits, as digests: what a GPU machine writes down once."""

from collections.abc import Iterator
from hashlib import sha256

import numpy as np

from sepd.bitspace import Bitstream, Parameters, bitstream, parameters
from sepd.bitspace.backend import Backend

BITS = 3000


def cases() -> Iterator[tuple[str, Bitstream, Parameters]]:
    """Each legal pair of window and order with its own bits, segments and expectation."""
    for window in range(3, 65):
        for order in range(1, min(9, window)):
            rng = np.random.default_rng((window, order))
            share = (0.5, 0.9, 0.2)[rng.integers(3)]
            bits = (rng.random(BITS) < share).astype(np.uint8)
            bits[1000:1200] = np.arange(200) % 2
            bits[1500:1700] = rng.integers(2)
            starts = np.sort(rng.integers(1, BITS, 12))
            expectation = rng.integers(0, 2, 1 << order, np.uint8)
            tolerance = int(rng.integers(0, 3)) * 10 * int(order == 3)
            chosen = parameters(window, order, expectation, int(rng.integers(1, 20)), tolerance)
            yield f"{window}/{order}", bitstream(bits, [0, *starts]), chosen


def digests(backend: Backend) -> dict[str, str]:
    """One digest over all columns of each case."""
    found = {}
    for name, stream, chosen in cases():
        total = sha256()
        for column in backend.analyze(stream, chosen).columns().values():
            total.update(column.astype("<i4").tobytes())
        found[name] = total.hexdigest()[:16]
    return found
