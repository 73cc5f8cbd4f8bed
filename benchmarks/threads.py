"""NumPy backend by threads and block size: python benchmarks/threads.py."""

import os
from functools import partial

from sepd.bitspace.figures import DAMPED, METRICS, random_stream, seconds_of
from sepd.bitspace.numpy_backend import NumpyBackend

WINDOWS = 1 << 24

if __name__ == "__main__":
    stream = random_stream(WINDOWS)
    for threads in (1, 2, 4, 8):
        if threads > len(os.sched_getaffinity(0)):
            break
        for power in (14, 15, 16, 17, 18):
            backend = NumpyBackend(threads, 1 << power)
            rates = [
                WINDOWS / seconds_of(partial(backend.analyze, stream, chosen), 3) / 1e6
                for chosen in (METRICS, DAMPED)
            ]
            print(f"{threads} threads, blocks of 2^{power}: {rates[0]:.1f}, {rates[1]:.1f} M/s")
