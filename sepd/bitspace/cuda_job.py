"""What the CUDA kernels are given: constants, tables, buffer layout, launch shapes."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace import tables
from sepd.bitspace.parameters import Parameters

TILE: Final = 768  # windows that a warp measures from one staging of planes
SPAN: Final = 512  # windows that a warp keeps in shared memory to damp
PLANE_WORDS: Final = 30
PAD_WORDS: Final = 8  # 32-bit words of zeros before bit 0: the farthest that a window reaches
TAIL_WORDS: Final = 64  # words behind the last bit that a staging may touch
ENTROPY_ENTRIES: Final = 4096
COPIES: Final = 32
KERNELS: Final = (
    "window_metrics",
    "window_metrics_counts",
    "window_metrics_live",
    "damped_metrics",
    "damped_metrics_tolerant",
)

CONSTANTS: Final = {
    "TILE": TILE,
    "SPAN": SPAN,
    "PLANE_WORDS": PLANE_WORDS,
    "ENTROPY_ENTRIES": ENTROPY_ENTRIES,
    "ONE": tables.ONE,
    "HALF": tables.HALF,
    "INVALID": tables.INVALID,
    "ENTROPY_WEIGHT": tables.ENTROPY_WEIGHT,
    "DECOHERENCE_WEIGHT": tables.DECOHERENCE_WEIGHT,
    "DECAY_STEPS": tables.DECAY_STEPS,
}

POINTERS: Final = (
    *("bits", "starts", "overlap", "entropy", "decay_steps", "gains"),
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
        *((name, "i4") for name in ("polarity_scale", "polarity_bias")),
        *((name, "i4") for name in ("products", "rates", "iterations", "tolerance")),
        ("expectation", "u4", (8,)),
    ],
    align=True,
)


def source() -> str:
    """Both kernel files as one translation unit."""
    folder = files("sepd.bitspace").joinpath("kernels")
    names = ("window.cu", "damping.cu")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


def options() -> tuple[str, ...]:
    """Compiler options: the language and every constant."""
    return ("-std=c++17", *(f"-D{name}={value}" for name, value in CONSTANTS.items()))


@lru_cache(maxsize=16)
def kernel_tables(chosen: Parameters) -> dict[str, NDArray[Any]]:
    """The lookup tables of one set of parameters, by the name of their pointer in `JOB`."""
    window = tables.window_tables(chosen.transitions)
    entropy = np.zeros(ENTROPY_ENTRIES, np.uint16)
    entropy[: window.entropy.size] = window.entropy
    overlap = np.array(tables.overlap_terms(chosen.transitions), np.uint32) * 2
    return {
        "overlap": overlap,
        "entropy": entropy,
        "decay_steps": np.array(tables.decay_steps(), np.uint8),
        "gains": np.ascontiguousarray(tables.gains(chosen.iterations)[1:]),
    }


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
    stability, polarity = tables.upper_half_scale(probed), tables.upper_half_scale(span)
    job["stability_scale"], job["stability_bias"] = stability, probed * stability + 2**15
    job["polarity_scale"], job["polarity_bias"] = polarity, 2**15 - span * polarity
    job["products"] = older * newer + 1
    job["rates"] = len(tables.decay_steps())
    job["iterations"], job["tolerance"] = chosen.iterations, chosen.tolerance
    bits = sum(bit << context for context, bit in enumerate(chosen.expectation))
    job["expectation"] = [bits >> 32 * word & 0xFFFFFFFF for word in range(8)]
    return job


@dataclass(frozen=True, slots=True)
class Launch:
    """Which kernel runs, with how many threads and how much shared memory."""

    kernel: str
    threads: int
    shared_bytes: int
    tile: int

    def blocks(self, length: int, most: int) -> int:
        """Blocks for `length` windows: a warp a tile, but no more than the device holds."""
        tiles = -(-length // self.tile)
        return max(1, min(most, -(-tiles * 32 // self.threads)))


_PLANES_BYTES: Final = 4 * 4 * PLANE_WORDS
_HISTORY_BYTES: Final = 16 * (SPAN + SPAN // 8)


def launch(chosen: Parameters, *, bulk: bool, counts: bool = True, limit: int) -> Launch:
    """The launch for one batch; `limit` is the shared memory that a block may have."""
    products = int(job_template(chosen)["products"])
    if chosen.iterations:
        return _damped_launch(chosen, products, bulk=bulk, limit=limit)
    fixed = 2 * ENTROPY_ENTRIES + 4 * products * (COPIES if bulk else 1)
    threads = 1024 if bulk else 32
    kernel = "window_metrics_counts" if counts else "window_metrics"
    shared = fixed + threads // 32 * _PLANES_BYTES
    return Launch(kernel if bulk else "window_metrics_live", threads, shared, TILE)


def _damped_launch(chosen: Parameters, products: int, *, bulk: bool, limit: int) -> Launch:
    rates = -(-len(tables.decay_steps()) // 16) * 16
    gains = 4 * chosen.iterations * (tables.DECAY_STEPS + 1)
    fixed = 2 * ENTROPY_ENTRIES + 4 * products + gains + rates
    each = _HISTORY_BYTES + _PLANES_BYTES
    warps = min(16, (limit - fixed) // each) if bulk else 1
    lead = -(-chosen.iterations // 8) * 8
    kernel = "damped_metrics_tolerant" if chosen.tolerance else "damped_metrics"
    return Launch(kernel, 32 * warps, fixed + warps * each, SPAN - lead)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one batch lies in one buffer: bits and starts in front, then every output.

    offsets : byte offset of each array, all multiples of 16
    inputs : bytes of the two inputs; total : bytes of everything
    """

    length: int
    stride: int
    words: int
    offsets: dict[str, int]
    inputs: int
    total: int


@lru_cache(maxsize=64)
def layout(length: int, iterations: int, *, path: bool) -> Layout:
    """The layout of `length` windows."""
    stride = -(-length // 16) * 16
    words = -(-(PAD_WORDS + -(-length // 32) + TAIL_WORDS) // 4) * 4
    sizes = {"bits": 4 * words, "starts": 4 * words, "metrics": 8 * stride, "counts": 4 * stride}
    if iterations:
        sizes |= {"damped": 8 * stride, "decay": stride, "steps": stride, "converged": stride}
    if path:
        sizes["path"] = 8 * stride * (iterations + 1)
    offsets, total = {}, 0
    for name, size in sizes.items():
        offsets[name] = total
        total += size
    return Layout(length, stride, words, offsets, 8 * words, total)
