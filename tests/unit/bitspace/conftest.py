"""Implementations of the engine, each put before the same contract."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from sepd.bitspace import Analysis, Stream, bitstream, parameters
from sepd.bitspace.analyse import backend_for
from sepd.bitspace.backend import Backend
from sepd.bitspace.cuda_kernels import device_missing
from sepd.bitspace.numpy_backend import NumpyBackend

type Rows = NDArray[np.int32]


class Engine(Protocol):
    """Bits of a ragged batch in, one row of 15 integers per bit out."""

    def __call__(
        self,
        bits: NDArray[np.uint8],
        starts: Sequence[int],
        window: int,
        order: int,
        expectation: Sequence[int] | None = None,
        iterations: int = 16,
        tolerance: int = 0,
    ) -> Rows: ...


def table_of(analysis: Analysis) -> Rows:
    """All columns side by side, as the oracle gives them."""
    columns = [column.astype(np.int32) for column in analysis.columns().values()]
    if analysis.damping is None:
        nothing = np.full(len(analysis), -32768, np.int32)
        columns += [nothing] * 4 + [nothing * 0] * 3
    return np.stack(columns, axis=1)


def batch_engine(backend: Backend) -> Engine:
    def run(
        bits: NDArray[np.uint8],
        starts: Sequence[int],
        window: int,
        order: int,
        expectation: Sequence[int] | None = None,
        iterations: int = 16,
        tolerance: int = 0,
    ) -> Rows:
        chosen = parameters(window, order, expectation, iterations, tolerance)
        return table_of(backend.analyze(bitstream(bits, starts), chosen))

    return run


def stream_engine(
    bits: NDArray[np.uint8],
    starts: Sequence[int],
    window: int,
    order: int,
    expectation: Sequence[int] | None = None,
    iterations: int = 16,
    tolerance: int = 0,
) -> Rows:
    stream = Stream(window, order, expectation, iterations, tolerance)
    found: list[tuple[int, ...]] = []
    for part in np.split(bits, starts[1:]):
        stream.reset()
        found += stream.push_all(part.tolist())
    return np.array(found, np.int32).reshape(-1, 15)


@pytest.fixture(params=["numpy", "numpy in small blocks", "stream", "cuda"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Every implementation, behind one signature."""
    if request.param == "stream":
        return stream_engine
    if request.param == "cuda":
        missing = device_missing()
        if missing:
            pytest.skip(f"cuda: {missing}")
        return batch_engine(backend_for("cuda")[0])
    if request.param == "numpy":
        return batch_engine(NumpyBackend())
    return batch_engine(NumpyBackend(threads=2, block=37))
