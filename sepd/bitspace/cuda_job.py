"""What the CUDA kernels are given: constants, tables, buffer layout, launch shapes."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace import tables
from sepd.bitspace.parameters import WINDOW_MAX, Parameters

TILE: Final = 768  # windows that a warp measures from one staging of planes
SPAN: Final = 512  # windows that a warp keeps in shared memory to damp
LIVE_SPAN: Final = 144  # the same in a launch for a small batch
PLANE_WORDS: Final = 30
PAD_WORDS: Final = 8  # 32-bit words of zeros before bit 0: the farthest that a window reaches
TAIL_WORDS: Final = 64  # words behind the last bit that a staging may touch
STATE_STRIDE: Final = 77  # spreads the states of one warp over the banks of shared memory
STATES: Final = WINDOW_MAX * STATE_STRIDE
COPIES: Final = 32
LINE: Final = 128  # bytes; a warp's store across two lines costs a third of the bandwidth
KERNELS: Final = (
    "window_metrics",
    "window_metrics_counts",
    "window_metrics_live",
    "damped_metrics",
    "damped_metrics_tolerant",
    "damped_metrics_live",
)

CONSTANTS: Final = {
    "TILE": TILE,
    "SPAN": SPAN,
    "LIVE_SPAN": LIVE_SPAN,
    "PLANE_WORDS": PLANE_WORDS,
    "STATE_STRIDE": STATE_STRIDE,
    "STATES": STATES,
    "ONE": tables.ONE,
    "HALF": tables.HALF,
    "INVALID": tables.INVALID,
    "ENTROPY_WEIGHT": tables.ENTROPY_WEIGHT,
    "DECOHERENCE_WEIGHT": tables.DECOHERENCE_WEIGHT,
    "DECAY_STEPS": tables.DECAY_STEPS,
}

POINTERS: Final = (
    *("bits", "starts", "overlap", "states", "table", "decay_steps", "gains"),
    *("metrics", "damped", "counts", "decay", "steps", "converged", "path"),
)
# struct Job of window.cu
JOB: Final = np.dtype(
    [
        *((name, "u8") for name in POINTERS),
        *((name, "i8") for name in ("length", "stride")),
        *((name, "i4") for name in ("transitions", "older", "newer", "probed", "order")),
        *((name, "u4") for name in ("older_mask", "newer_mask", "probed_low", "probed_high")),
        *((name, "i4") for name in ("stability_scale", "stability_bias")),
        *((name, "i4") for name in ("products", "rates", "iterations", "tolerance")),
    ],
    align=True,
)


def source() -> str:
    """The kernel files as one translation unit."""
    folder = files("sepd.bitspace").joinpath("kernels")
    names = ("planes.cu", "window.cu", "damping.cu", "damped.cu")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


def options() -> tuple[str, ...]:
    """Compiler options: the language and every constant."""
    return ("-std=c++17", *(f"-D{name}={value}" for name, value in CONSTANTS.items()))


@lru_cache(maxsize=16)
def kernel_tables(chosen: Parameters) -> dict[str, NDArray[Any]]:
    """The lookup tables of one set of parameters, by the name of their pointer in `JOB`."""
    expectation = sum(bit << context for context, bit in enumerate(chosen.expectation))
    return {
        "overlap": np.array(tables.overlap_terms(chosen.transitions), np.uint32) * 2,
        "states": _states(chosen.transitions),
        "table": np.frombuffer(expectation.to_bytes(32, "little"), np.uint32),
        "decay_steps": np.array(tables.decay_steps(), np.uint8),
        "gains": np.ascontiguousarray(tables.gains(chosen.iterations)[1:]),
    }


def _states(transitions: int) -> NDArray[np.uint32]:
    window = tables.window_tables(transitions)
    rupture, flip = np.divmod(np.arange(window.entropy.size), 1 << tables.COUNT_BITS)
    states = np.zeros((WINDOW_MAX + 1) * STATE_STRIDE, np.uint32)
    upper = window.polarity.view(np.uint16).astype(np.uint32) << 16
    states[flip + STATE_STRIDE * rupture] = window.entropy.view(np.uint16) | upper
    return states[:STATES]


def job_template(chosen: Parameters) -> NDArray[np.void]:
    """A `JOB` with all that follows from the parameters; pointers and sizes are left 0."""
    job = np.zeros((), JOB)
    span, probed = chosen.transitions, chosen.probed
    older, newer = tables.halves(span)
    job["transitions"], job["older"], job["newer"] = span, older, newer
    job["probed"], job["order"] = probed, chosen.order
    job["older_mask"], job["newer_mask"] = (1 << older) - 1, (1 << newer) - 1
    job["probed_low"] = (1 << min(probed, 32)) - 1
    job["probed_high"] = (1 << max(probed - 32, 0)) - 1
    stability = tables.upper_half_scale(probed)
    job["stability_scale"], job["stability_bias"] = stability, probed * stability + 2**15
    job["products"] = older * newer + 1
    job["rates"] = len(tables.decay_steps())
    job["iterations"], job["tolerance"] = chosen.iterations, chosen.tolerance
    return job


@dataclass(frozen=True, slots=True)
class Launch:
    """Which kernel runs, with how many threads and how much shared memory.

    tile : windows that one warp takes at a time
    persistent : blocks fill their shared memory with tables, so one for each multiprocessor
    """

    kernel: str
    threads: int
    shared_bytes: int
    tile: int
    persistent: bool

    def blocks(self, length: int, most: int) -> int:
        """Blocks for `length` windows: a warp a tile, but no more than the device holds."""
        tiles = -(-length // self.tile)
        return max(1, min(most, -(-tiles * 32 // self.threads)))


_PLANES_BYTES: Final = 4 * 4 * PLANE_WORDS
_FIXED_BYTES: Final = 32 + 4 * STATES


@lru_cache(maxsize=64)
def launch(chosen: Parameters, *, bulk: bool, counts: bool, limit: int) -> Launch:
    """The launch for one batch; `limit` is the shared memory that a block may have."""
    older, newer = tables.halves(chosen.transitions)
    products = 4 * (older * newer + 1)
    if chosen.iterations:
        return _damped_launch(chosen, products, bulk=bulk, limit=limit)
    if not bulk:
        return Launch("window_metrics_live", 32, _PLANES_BYTES, TILE, False)
    shared = 32 * _PLANES_BYTES + _FIXED_BYTES + COPIES * products
    kernel = "window_metrics_counts" if counts else "window_metrics"
    return Launch(kernel, 1024, shared, TILE, True)


def _damped_launch(chosen: Parameters, products: int, *, bulk: bool, limit: int) -> Launch:
    span = SPAN if bulk else LIVE_SPAN
    each = 16 * (span + span // 8) + _PLANES_BYTES
    tile = span - -(-chosen.iterations // 8) * 8
    gains = 4 * chosen.iterations * (tables.DECAY_STEPS + 1)
    if not bulk:
        return Launch("damped_metrics_live", 32, each + gains, tile, False)
    rates = -(-len(tables.decay_steps()) // 16) * 16
    fixed = _FIXED_BYTES + products + gains + rates
    warps = min(16, (limit - fixed) // each)
    kernel = "damped_metrics_tolerant" if chosen.tolerance else "damped_metrics"
    return Launch(kernel, 32 * warps, fixed + warps * each, tile, True)


type Output = tuple[str, tuple[int, ...], np.dtype[Any], int, tuple[int, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where one batch lies in one buffer: bits and starts in front, then every output.

    offsets : byte offset of each array, all multiples of a cache line
    outputs : name, shape, dtype, byte offset and strides of each output
    inputs : bytes of the two inputs; total : bytes of everything
    """

    length: int
    stride: int
    offsets: dict[str, int]
    outputs: tuple[Output, ...]
    inputs: int
    total: int


@lru_cache(maxsize=64)
def layout(length: int, iterations: int, *, path: bool) -> Layout:
    """The layout of `length` windows; every row begins on a cache line."""
    stride = -(-length // LINE) * LINE
    words = -(-(PAD_WORDS + -(-length // 32) + TAIL_WORDS) // LINE) * LINE
    rows: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
        "metrics": ((4,), np.int16),
        "counts": ((4,), np.uint8),
    }
    if iterations:
        rows |= {"damped": ((4,), np.int16), "decay": ((), np.uint8), "steps": ((), np.uint8)}
        rows["converged"] = ((), np.bool_)
    if path:
        rows["path"] = ((iterations + 1, 4), np.int16)
    offsets, outputs, total = {"bits": 0, "starts": 4 * words}, [], 8 * words
    for name, (shape, kind) in rows.items():
        dtype = np.dtype(kind)
        row = stride * dtype.itemsize
        strides = tuple(row * prod(shape[axis + 1 :]) for axis in range(len(shape)))
        outputs.append((name, (*shape, length), dtype, total, (*strides, dtype.itemsize)))
        offsets[name] = total
        total += prod(shape) * row
    return Layout(length, stride, offsets, tuple(outputs), 8 * words, total)
