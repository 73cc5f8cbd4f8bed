"""The analysis in NumPy: block by block in cache, any number of threads, same bits as CUDA."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace.analysis import Analysis, Damped
from sepd.bitspace.bitstream import Bitstream
from sepd.bitspace.parameters import Parameters
from sepd.bitspace.tables import (
    COUNT_BITS,
    DECOHERENCE_WEIGHT,
    ENTROPY_WEIGHT,
    HALF,
    INVALID,
    ONE,
    Tables,
    tables_for,
)

BLOCK: Final = 1 << 15  # long enough to drown the interpreter, short enough for the cache
SHARED_BLOCK: Final = 1 << 17  # threads hold the interpreter in turn, so each takes more
MOST_THREADS: Final = 4

type Counts = NDArray[np.int64]


def usable_threads() -> int:
    """Threads worth starting here: the CPUs that the process may use, four at most."""
    return min(MOST_THREADS, len(os.sched_getaffinity(0)))


class NumpyBackend:
    """Rows of sections 2 and 3 on the CPU.

    threads : blocks computed at the same time; NumPy's loops release the interpreter's lock
    block : windows per block; by default fewer on one thread than on several
    """

    name: Final = "numpy"

    def __init__(self, threads: int = 1, block: int | None = None) -> None:
        self._threads = threads
        self._block = block or (BLOCK if threads == 1 else SHARED_BLOCK)

    def analyze(self, stream: Bitstream, parameters: Parameters, *, path: bool = False) -> Analysis:
        """All rows of one batch; scratch memory is proportional to the block."""
        result = Analysis.empty(stream.length, stream.starts, parameters, self.name, path=path)
        tables = tables_for(parameters)
        spans = list(self._spans(stream.length))
        if self._threads == 1 or len(spans) < 2 * self._threads:
            for low, high in spans:
                _analyze_block(stream, tables, result, low, high)
            return result
        with ThreadPoolExecutor(self._threads) as pool:
            jobs = [
                pool.submit(_analyze_block, stream, tables, result, low, high)
                for low, high in spans
            ]
            for job in jobs:
                job.result()
        return result

    def _spans(self, length: int) -> Iterator[tuple[int, int]]:
        for low in range(0, length, self._block):
            yield low, min(length, low + self._block)


def _analyze_block(
    stream: Bitstream, tables: Tables, result: Analysis, low: int, high: int
) -> None:
    parameters = result.parameters
    before = parameters.iterations
    bits = stream.bits(low - parameters.reach, high)
    metrics = np.empty((4, high - low + before), np.int16)
    counts = np.empty((4, high - low + before), np.uint8)
    _window_metrics(bits, parameters, tables, metrics, counts)
    result.metrics[:, low:high] = metrics[:, before:]
    result.counts[:, low:high] = counts[:, before:]
    blank = _positions_after_starts(stream.starts, parameters.window - 1, low, high)
    result.metrics[:, blank] = INVALID
    result.counts[:, blank] = 0
    if result.damping is not None:
        rows = result.damping.rows(low, high)
        _damp(metrics, before, parameters.tolerance, tables, rows)
        blank = _positions_after_starts(stream.starts, parameters.reach, low, high) - low
        _blank_damped(rows, blank)


def _window_metrics(
    bits: NDArray[np.uint8],
    parameters: Parameters,
    tables: Tables,
    metrics: NDArray[np.int16],
    counts: NDArray[np.uint8],
) -> None:
    """Metrics and counts of every window in `bits`, by differences of running sums."""
    window = tables.window
    span = window.transitions
    rupture = bits[1:] & bits[:-1]
    flip = bits[1:] ^ bits[:-1]
    half = _running_sum(rupture * np.uint8(window.base) + flip)
    older = half[window.old : -window.new] - half[:-span]
    newer = half[span:] - half[window.old : -window.new]
    older *= window.stride
    older += newer
    whole = _running_sum((rupture << np.uint8(COUNT_BITS)) + flip)
    state = whole[span:] - whole[:-span]
    corrections = _corrections(bits, parameters.order, parameters.probed, tables.expectation)
    # "wrap" is the one mode of take that neither checks nor buffers; every index is in range.
    np.take(window.coherence, older, out=metrics[0], mode="wrap")
    np.take(tables.stability, corrections, out=metrics[1], mode="wrap")
    np.take(window.entropy, state, out=metrics[2], mode="wrap")
    np.take(window.polarity, state, out=metrics[3], mode="wrap")
    counts[1] = state & ((1 << COUNT_BITS) - 1)
    counts[2] = state >> COUNT_BITS
    counts[0] = np.uint8(span) - counts[1] - counts[2]
    counts[3] = corrections


def _corrections(
    bits: NDArray[np.uint8], order: int, probed: int, expectation: NDArray[np.uint8]
) -> Counts:
    errors = _running_sum(error_plane(bits, order, expectation))
    return errors[probed:] - errors[:-probed]


def error_plane(
    bits: NDArray[np.uint8], order: int, expectation: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """x_t for t ≥ order: where the bit differs from the one expected after its context."""
    context = bits[order - 1 : -1].copy()
    for age in range(2, order + 1):
        context |= bits[order - age : -age] << np.uint8(age - 1)
    plane: NDArray[np.uint8] = expectation.take(context, mode="wrap") ^ bits[order:]
    return plane


def _running_sum(values: NDArray[np.uint8]) -> Counts:
    total = np.empty(values.size + 1, np.int64)
    total[0] = 0
    np.cumsum(values, out=total[1:])
    return total


def _damp(
    metrics: NDArray[np.int16], before: int, tolerance: int, tables: Tables, out: Damped
) -> None:
    """Damp every position from `before` on; a converged lane goes on with a gain of zero."""
    history = metrics.astype(np.int32)
    state = history[:, before:].copy()
    length = state.shape[1]
    rate = ENTROPY_WEIGHT * state[2] + DECOHERENCE_WEIGHT * (ONE - state[0])
    decay = tables.decay.take((rate + HALF) >> 14, mode="wrap").astype(np.intp)
    moving = np.ones(length, np.bool_)
    out.decay[:] = decay
    out.steps[:] = 0
    if out.path is not None:
        out.path[0] = state
    for step in range(1, before + 1):
        gain = tables.gains[step].take(decay, mode="wrap")
        gain *= moving
        change = history[:, before - step : before - step + length] - state
        change *= gain
        change += HALF
        change >>= 14
        state += change
        out.steps[:] += moving
        moving &= _moved(change, tolerance)
        if out.path is not None:
            out.path[step] = state
        if not moving.any():
            break
    if out.path is not None:
        out.path[step + 1 :] = state
    out.metrics[:] = state
    np.logical_not(moving, out=out.converged)


def _moved(change: NDArray[np.int32], tolerance: int) -> NDArray[np.bool_]:
    if tolerance == 0:
        moved: NDArray[np.bool_] = np.bitwise_or.reduce(change, axis=0) != 0
    else:
        moved = np.abs(change).max(axis=0) > tolerance
    return moved


def _positions_after_starts(
    starts: NDArray[np.int64], count: int, low: int, high: int
) -> NDArray[np.int64]:
    """Positions in low … high − 1 among the first `count` of a segment."""
    first, last = np.searchsorted(starts, (low - count, high))
    positions = np.add.outer(starts[first:last], np.arange(count)).ravel()
    return positions[(positions >= low) & (positions < high)]


def _blank_damped(rows: Damped, blank: NDArray[np.int64]) -> None:
    rows.metrics[:, blank] = INVALID
    rows.decay[blank] = 0
    rows.steps[blank] = 0
    rows.converged[blank] = False
    if rows.path is not None:
        rows.path[:, :, blank] = INVALID
