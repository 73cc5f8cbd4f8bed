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
SHARED_BLOCK: Final = 1 << 16  # threads hold the interpreter in turn, so each takes more
MOST_THREADS: Final = 4


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
        threads = self._threads if len(spans) >= 2 * self._threads else 1
        if threads == 1:
            _analyze_spans(stream, tables, result, spans)
            return result
        with ThreadPoolExecutor(threads) as pool:
            jobs = [
                pool.submit(_analyze_spans, stream, tables, result, spans[first::threads])
                for first in range(threads)
            ]
            for job in jobs:
                job.result()
        return result

    def _spans(self, length: int) -> Iterator[tuple[int, int]]:
        for low in range(0, length, self._block):
            yield low, min(length, low + self._block)


class _Scratch:
    """Arrays for one block, kept from block to block: fresh ones would be paged in each time."""

    def __init__(self, block: int, parameters: Parameters) -> None:
        size = block + parameters.iterations
        self.sums = np.empty(size + parameters.window, np.int64)
        self.first = np.empty(size, np.int64)
        self.second = np.empty(size, np.int64)
        self.metrics = np.empty((4, size), np.int16)
        self.counts = np.empty((4, size), np.uint8)
        if parameters.iterations:
            self.history = np.empty((4, size), np.int32)
            self.state = np.empty((4, block), np.int32)
            self.change = np.empty((4, block), np.int32)
            self.gain = np.empty(block, np.int32)


def _analyze_spans(
    stream: Bitstream, tables: Tables, result: Analysis, spans: list[tuple[int, int]]
) -> None:
    block = max((high - low for low, high in spans), default=0)
    scratch = _Scratch(block, result.parameters)
    for low, high in spans:
        _analyze_block(stream, tables, result.rows(low, high), low, scratch)


def _analyze_block(
    stream: Bitstream, tables: Tables, rows: Analysis, low: int, scratch: _Scratch
) -> None:
    """Write the rows of the positions from `low` on."""
    parameters = rows.parameters
    before = parameters.iterations
    high = low + len(rows)
    measured = len(rows) + before
    bits = stream.bits(low - parameters.reach, high)
    metrics, counts = scratch.metrics[:, :measured], scratch.counts[:, :measured]
    _window_metrics(bits, parameters, tables, metrics, counts, scratch)
    rows.metrics[:] = metrics[:, before:]
    rows.counts[:] = counts[:, before:]
    blank = _positions_after_starts(stream.starts, parameters.window - 1, low, high)
    rows.metrics[:, blank] = INVALID
    rows.counts[:, blank] = 0
    if rows.damping is not None:
        _damp(metrics, parameters, tables, rows.damping, scratch)
        blank = _positions_after_starts(stream.starts, parameters.reach, low, high)
        _blank_damped(rows.damping, blank)


def _window_metrics(
    bits: NDArray[np.uint8],
    parameters: Parameters,
    tables: Tables,
    metrics: NDArray[np.int16],
    counts: NDArray[np.uint8],
    scratch: _Scratch,
) -> None:
    """Metrics and counts of every window in `bits`, by differences of running sums."""
    window = tables.window
    span = window.transitions
    first, second = scratch.first[: bits.size - span], scratch.second[: bits.size - span]
    rupture = bits[1:] & bits[:-1]
    flip = bits[1:] ^ bits[:-1]
    # "wrap" is the one mode of take that neither checks nor buffers; every index is in range.
    half = _running_sum(rupture * np.uint8(window.base) + flip, scratch.sums)
    np.subtract(half[window.old : -window.new], half[:-span], out=first)
    np.subtract(half[span:], half[window.old : -window.new], out=second)
    first *= window.stride
    first += second
    np.take(window.coherence, first, out=metrics[0], mode="wrap")
    whole = _running_sum((rupture << np.uint8(COUNT_BITS)) + flip, scratch.sums)
    np.subtract(whole[span:], whole[:-span], out=first)
    np.take(window.entropy, first, out=metrics[2], mode="wrap")
    np.take(window.polarity, first, out=metrics[3], mode="wrap")
    counts[1] = np.bitwise_and(first, (1 << COUNT_BITS) - 1, out=second)
    counts[2] = np.right_shift(first, COUNT_BITS, out=second)
    counts[0] = np.uint8(span) - counts[1] - counts[2]
    errors = _running_sum(error_plane(bits, parameters.order, tables.expectation), scratch.sums)
    np.subtract(errors[parameters.probed :], errors[: -parameters.probed], out=first)
    np.take(tables.stability, first, out=metrics[1], mode="wrap")
    counts[3] = first


def error_plane(
    bits: NDArray[np.uint8], order: int, expectation: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """x_t for t ≥ order: where the bit differs from the one expected after its context."""
    context = bits[order - 1 : -1].copy()
    for age in range(2, order + 1):
        context |= bits[order - age : -age] << np.uint8(age - 1)
    plane: NDArray[np.uint8] = expectation.take(context, mode="wrap") ^ bits[order:]
    return plane


def _running_sum(values: NDArray[np.uint8], sums: NDArray[np.int64]) -> NDArray[np.int64]:
    total = sums[: values.size + 1]
    total[0] = 0
    np.cumsum(values, out=total[1:])
    return total


def _damp(
    metrics: NDArray[np.int16],
    parameters: Parameters,
    tables: Tables,
    out: Damped,
    scratch: _Scratch,
) -> None:
    """Damp all but the first positions; a converged lane goes on with a gain of zero."""
    before = parameters.iterations
    length = metrics.shape[1] - before
    history, gain = scratch.history[:, : before + length], scratch.gain[:length]
    state, change = scratch.state[:, :length], scratch.change[:, :length]
    history[:] = metrics
    state[:] = history[:, before:]
    rate = ENTROPY_WEIGHT * state[2] + DECOHERENCE_WEIGHT * (ONE - state[0])
    decay = scratch.first[:length]
    np.take(tables.decay, (rate + HALF) >> 14, out=out.decay, mode="wrap")
    decay[:] = out.decay
    moving = np.ones(length, np.bool_)
    out.steps[:] = 0
    if out.path is not None:
        out.path[0] = state
    for step in range(1, before + 1):
        np.take(tables.gains[step], decay, out=gain, mode="wrap")
        gain *= moving
        np.subtract(history[:, before - step : before - step + length], state, out=change)
        change *= gain
        change += HALF
        change >>= 14
        state += change
        out.steps[:] += moving
        moving &= _moved(change, parameters.tolerance)
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
    """Positions among the first `count` of a segment, from `low` to before `high`, less `low`."""
    first, last = np.searchsorted(starts, (low - count, high))
    positions = np.add.outer(starts[first:last] - low, np.arange(count)).ravel()
    return positions[(positions >= 0) & (positions < high - low)]


def _blank_damped(rows: Damped, blank: NDArray[np.int64]) -> None:
    rows.metrics[:, blank] = INVALID
    rows.decay[blank] = 0
    rows.steps[blank] = 0
    rows.converged[blank] = False
    if rows.path is not None:
        rows.path[:, :, blank] = INVALID
