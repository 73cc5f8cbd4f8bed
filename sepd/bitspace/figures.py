"""Measures the engine on this machine: the figures of `sepd bench engine`.

Every rate comes from a median over repeats of random bits, device work timed by CUDA events.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter_ns
from typing import Any, Final

import numpy as np

from sepd.bitspace.bitstream import Bitstream, bitstream, unpack
from sepd.bitspace.cuda_backend import CudaBackend
from sepd.bitspace.cuda_job import layout
from sepd.bitspace.numpy_backend import NumpyBackend
from sepd.bitspace.parameters import Parameters, parameters
from sepd.bitspace.stream import Stream

REPEATS: Final = 21
ROUNDS: Final = 20
TRIPS: Final = 1000
TRIP_WINDOWS: Final = (1, 64, 1024)
CPU_WINDOWS: Final = 1 << 22
DEVICE_WINDOWS: Final = 1 << 29
METRICS: Final = parameters(iterations=0)
DAMPED: Final = parameters()


@dataclass(frozen=True, slots=True)
class Rate:
    """Windows per second: the median of `repeats` runs over `windows` windows each."""

    windows: int
    repeats: int
    seconds: float
    bytes_per_window: float

    @property
    def windows_per_s(self) -> float:
        """Windows per second."""
        return self.windows / self.seconds

    @property
    def bytes_per_s(self) -> float:
        """Bytes read and written per second."""
        return self.windows_per_s * self.bytes_per_window

    def as_dict(self) -> dict[str, float]:
        """The measurement and both rates."""
        rates = {"windows_per_s": self.windows_per_s, "bytes_per_s": self.bytes_per_s}
        return {**asdict(self), **rates}


@dataclass(frozen=True, slots=True)
class Latency:
    """Round trips, µs: medians over `rounds` of each round's percentiles of `trips` trips."""

    windows: int
    rounds: int
    trips: int
    p50_us: float
    p99_us: float
    p999_us: float


def random_stream(windows: int, seed: int = 1) -> Bitstream:
    """One segment of random bits."""
    words = np.random.default_rng(seed).integers(0, 2**64, -(-windows // 64), np.uint64)
    return Bitstream(words, windows, np.zeros(1, np.int64))


def cpu_rate(chosen: Parameters, windows: int, repeats: int = 5, threads: int = 1) -> Rate:
    """The NumPy backend, output arrays included."""
    backend = NumpyBackend(threads)
    stream = random_stream(windows)
    seconds = seconds_of(lambda: backend.analyze(stream, chosen), repeats)
    return Rate(windows, repeats, seconds, 12.125 if chosen.iterations == 0 else 23.125)


def stream_ns(chosen: Parameters, bits: int = 20_000, repeats: int = 5) -> float:
    """Nanoseconds per `Stream.push`."""
    stream = Stream(chosen.window, chosen.order, chosen.expectation, chosen.iterations)
    values = unpack(random_stream(bits).words, bits).tolist()
    return seconds_of(lambda: stream.push_all(values), repeats) / bits * 1e9


def seconds_of(work: Callable[[], object], repeats: int) -> float:
    """The median time of `work` after one run to warm up."""
    work()
    times = []
    for _ in range(repeats):
        begun = perf_counter_ns()
        work()
        times.append(perf_counter_ns() - begun)
    return median(times) / 1e9


def cpu_figures(threads: int = 1, windows: int = CPU_WINDOWS) -> dict[str, Any]:
    """What the CPU does: windows/s of the NumPy backend, ns per bit of a `Stream`."""
    return {
        "threads": threads,
        "metrics": cpu_rate(METRICS, windows, threads=threads).as_dict(),
        "damped": cpu_rate(DAMPED, windows, threads=threads).as_dict(),
        "stream_metrics_ns": round(stream_ns(METRICS)),
        "stream_damped_ns": round(stream_ns(DAMPED)),
    }


def cuda_figures(backend: CudaBackend, windows: int = DEVICE_WINDOWS) -> dict[str, Any]:
    """What one CUDA device does, against a device copy in the same run."""
    figures = DeviceFigures(backend)
    copy = figures.copy_bytes_per_s()
    rates = {
        "metrics": figures.kernel_rate(METRICS, windows),
        "metrics_and_counts": figures.kernel_rate(METRICS, windows, counts=True),
        "damped": figures.kernel_rate(DAMPED, windows // 4, counts=True),
    }
    ends = {
        "metrics": figures.end_to_end_rate(METRICS, windows // 16),
        "damped": figures.end_to_end_rate(DAMPED, windows // 16),
    }
    return {
        "device": backend.device,
        "copy_bytes_per_s": copy,
        "kernels": {
            name: {**rate.as_dict(), "of_copy": round(rate.bytes_per_s / copy, 3)}
            for name, rate in rates.items()
        },
        "host_to_host": {name: rate.as_dict() for name, rate in ends.items()},
        "round_trips": {
            name: [asdict(figures.round_trip(chosen, count)) for count in TRIP_WINDOWS]
            for name, chosen in (("metrics", METRICS), ("damped", DAMPED))
        },
    }


class DeviceFigures:
    """Figures of one CUDA backend, in one run on one device."""

    def __init__(self, backend: CudaBackend) -> None:
        self._backend = backend
        self._cupy = backend.kernels.cupy

    def copy_bytes_per_s(self, size: int = 1 << 32) -> float:
        """A device-to-device copy, bytes read plus bytes written."""
        source, target = (self._cupy.empty(size // 8, np.uint64) for _ in range(2))
        return 2 * size / self._device_seconds(lambda: self._cupy.copyto(target, source), REPEATS)

    def kernel_rate(
        self, chosen: Parameters, windows: int, *, counts: bool = False, repeats: int = REPEATS
    ) -> Rate:
        """The kernel alone: packed bits in device memory to columns in device memory."""
        kernels = self._backend.kernels
        place = layout(windows, chosen.iterations, path=False)
        memory = self._cupy.zeros(place.total // 8, np.uint64)
        words = random_stream(windows).words
        memory[4 : 4 + words.size] = self._cupy.asarray(words)
        prepared = kernels.prepared(chosen)
        job = prepared.at(memory.data.ptr, place)
        shape = prepared.bulk if counts else prepared.without_counts
        queued = kernels.queue(shape, job, windows)
        seconds = self._device_seconds(lambda: queued.run(None), repeats)
        written = 8 + (4 if counts else 0) + (11 if chosen.iterations else 0)
        return Rate(windows, repeats, seconds, written + 0.25)

    def end_to_end_rate(self, chosen: Parameters, windows: int, repeats: int = 3) -> Rate:
        """Host bits to host columns through the backend."""
        stream = random_stream(windows)
        seconds = seconds_of(lambda: self._backend.analyze(stream, chosen), repeats)
        return Rate(windows, repeats, seconds, 12.125 if chosen.iterations == 0 else 23.125)

    def round_trip(self, chosen: Parameters, windows: int, rounds: int = ROUNDS) -> Latency:
        """Host → device → host for so many valid windows, as the live path does it."""
        bits = np.random.default_rng(2).integers(0, 2, windows + chosen.reach, np.uint8)
        stream = bitstream(bits)
        times = np.empty((rounds + 1, TRIPS), np.int64)
        for row in times:
            for trip in range(TRIPS):
                begun = perf_counter_ns()
                self._backend.analyze(stream, chosen)
                row[trip] = perf_counter_ns() - begun
        each = np.percentile(times[1:], (50, 99, 99.9), axis=1) / 1e3
        p50, p99, p999 = (float(value) for value in np.median(each, axis=1))
        return Latency(windows, rounds, TRIPS, p50, p99, p999)

    def _device_seconds(self, work: Callable[[], Any], repeats: int) -> float:
        event = self._cupy.cuda.Event
        times = []
        for _ in range(repeats + 2):
            begun, ended = event(), event()
            begun.record()
            work()
            ended.record()
            ended.synchronize()
            times.append(self._cupy.cuda.get_elapsed_time(begun, ended) / 1e3)
        return float(median(times[2:]))
