"""`analyze`: one batch of bits in, one row per bit out, on the backend that is asked for."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sepd.bitspace.analysis import Analysis
from sepd.bitspace.backend import Backend, BackendName, DeviceFault
from sepd.bitspace.bitstream import Bitstream, bitstream
from sepd.bitspace.numpy_backend import NumpyBackend, usable_threads
from sepd.bitspace.parameters import Parameters, parameters
from sepd.errors import InputError

BACKENDS: Final = ("auto", "numpy", "cuda")


def analyze(
    bits: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
    window: int = 64,
    order: int = 1,
    expectation: Collection[int] | NDArray[np.uint8] | None = None,
    iterations: int = 16,
    segment_starts: ArrayLike | None = None,
    backend: BackendName = "auto",
    *,
    tolerance: int = 0,
    path: bool = False,
) -> Analysis:
    """Window metrics and damped metrics of every bit (BITSPACE.md sections 2 and 3).

    Parameters
    ----------
    bits
        uint8 array of 0/1, or a list of such arrays, one for each segment.
    window
        Bits per window, 3 … 64.
    order
        Bits of context of the expectation, 1 … 8 and below `window`.
    expectation
        2^order bits, or an `Expectation`; None is persistence.
    iterations
        Damping steps, 0 … 64; 0 leaves damping out.
    segment_starts
        Ascending positions, the first 0; None is one segment.
    backend
        "numpy", "cuda", or "auto": CUDA where a device answers.
    tolerance
        The largest movement (Q14) that ends the damping.
    path
        Keep m_0 … m_I in `damped.path`.

    Raises
    ------
    InputError
        naming the argument and what is legal.
    """
    chosen = parameters(window, order, expectation, iterations, tolerance)
    stream = bitstream(bits, segment_starts)
    return backend_for(backend)[0].analyze(stream, chosen, path=path)


def analyze_blocks(
    blocks: Iterable[NDArray[np.uint64]],
    length: int,
    chosen: Parameters,
    backend: Backend,
) -> Iterator[Analysis]:
    """Rows of one long segment of packed words that come block by block, in order.

    Memory is proportional to the largest block: only the words that the next block's first
    rows reach back to are kept. Every block but the last must hold whole words.

    blocks : uint64 words, oldest bit least significant; `length` bits in all
    """
    reach = (chosen.reach + 63) // 64
    kept = np.zeros(0, np.uint64)
    done = 0
    start = np.zeros(1, np.int64)
    for block in blocks:
        words = np.concatenate((kept, block))
        behind = kept.size * 64
        fresh = min(block.size * 64, length - done)
        stream = Bitstream(words, behind + fresh, start)
        yield backend.analyze(stream, chosen).rows(behind, behind + fresh)
        done += fresh
        kept = words[max(0, words.size - reach) :]
    if done != length:
        raise InputError(f"length must be the number of bits in blocks: {length} against {done}")


@lru_cache
def backend_for(name: str) -> tuple[Backend, str]:
    """The backend of this process for a name, and why it is that one.

    Raises
    ------
    InputError
        where the name is none of "auto", "numpy", "cuda", or no CUDA device answers "cuda".
    """
    if name not in BACKENDS:
        raise InputError(f"backend must be one of {', '.join(BACKENDS)}; got {name!r}")
    if name == "numpy":
        return NumpyBackend(usable_threads()), "asked for"
    return _cuda_or_numpy(name)


def _cuda_or_numpy(name: str) -> tuple[Backend, str]:
    # cupy is looked for only when a device is wanted
    from sepd.bitspace.cuda_backend import CudaBackend  # noqa: PLC0415
    from sepd.bitspace.cuda_kernels import device_missing  # noqa: PLC0415

    missing = device_missing()
    if missing is None:
        try:
            backend = CudaBackend()
        except DeviceFault as fault:
            if name == "cuda":
                raise
            missing = str(fault)
        else:
            return backend, f"{backend.device} answers"
    elif name == "cuda":
        raise InputError(f"backend must be auto or numpy here: {missing}")
    return NumpyBackend(usable_threads()), missing
