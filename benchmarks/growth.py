"""Seconds against windows, and memory while a file streams through the engine.

python benchmarks/growth.py kernel          10^6 … 10^10 windows on the GPU
python benchmarks/growth.py cpu             10^5 … 10^8 windows on one CPU core
python benchmarks/growth.py disk [numpy|cuda] [WINDOWS]    streamed from a file
"""

import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace import analyze_blocks
from sepd.bitspace.analyse import backend_for
from sepd.bitspace.cuda_backend import CudaBackend
from sepd.bitspace.figures import DAMPED, METRICS, DeviceFigures, cpu_rate, random_stream

BLOCK_WORDS = 1 << 16  # 4 M windows


def kernel() -> None:
    figures = DeviceFigures(CudaBackend())
    for name, chosen, most in (("metrics", METRICS, 10), ("damped", DAMPED, 9)):
        for power in range(6, most + 1):
            rate = figures.kernel_rate(chosen, 10**power, counts=chosen is DAMPED, repeats=5)
            print(f"{name} 10^{power}: {rate.seconds:.3e} s, {rate.windows_per_s / 1e9:.1f} G/s")


def cpu() -> None:
    for name, chosen in (("metrics", METRICS), ("damped", DAMPED)):
        for power in range(5, 9):
            rate = cpu_rate(chosen, 10**power, repeats=3)
            print(f"{name} 10^{power}: {rate.seconds:.3e} s, {rate.windows_per_s / 1e6:.1f} M/s")


def words_of(path: Path) -> Iterator[NDArray[np.uint64]]:
    with path.open("rb") as file:
        while raw := file.read(8 * BLOCK_WORDS):
            yield np.frombuffer(raw, np.uint64)


def disk(backend: str, windows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bits"
        with path.open("wb") as file:
            for seed in range(-(-windows // (64 * BLOCK_WORDS))):
                file.write(random_stream(64 * BLOCK_WORDS, seed).words.tobytes())
        before = peak_mb()
        begun = perf_counter()
        seen, total = 0, 0
        for rows in analyze_blocks(words_of(path), windows, DAMPED, backend_for(backend)[0]):
            seen += len(rows)
            total += int(rows.steps.sum(dtype=np.int64))
        seconds = perf_counter() - begun
    print(
        f"{seen:,} windows with damping from disk on {backend}: {seconds:.1f} s, "
        f"{total:,} damping steps, peak memory {peak_mb():.0f} MB ({before:.0f} MB before)"
    )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["kernel"]:
            kernel()
        case ["cpu"]:
            cpu()
        case ["disk", *rest]:
            disk(rest[0] if rest else "numpy", int(float(rest[1])) if rest[1:] else 10**9)
        case _:
            raise SystemExit(__doc__)
