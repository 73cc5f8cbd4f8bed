"""One stream of a CUDA device with buffers that grow and stay: a batch up, its columns down."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace import cuda_job
from sepd.bitspace.analysis import Analysis, Damped
from sepd.bitspace.bitstream import Bitstream
from sepd.bitspace.cuda_job import Layout, layout
from sepd.bitspace.cuda_kernels import Kernels, Queued
from sepd.bitspace.parameters import Parameters

BACKEND: Final = "cuda"
COPIERS: Final = 4  # threads that copy columns out of pinned memory
_UP, _DOWN = 1, 2  # cudaMemcpyKind


class Lane:
    """One stream with a pinned and a device buffer that grow and stay."""

    def __init__(self, kernels: Kernels, copiers: ThreadPoolExecutor) -> None:
        self._kernels = kernels
        self._copiers = copiers
        self._cuda = kernels.cupy.cuda
        self._stream = self._cuda.Stream(non_blocking=True)
        self._host: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._device: Any = None
        self._device_size = 0
        self._chosen: Parameters | None = None
        self._ready: dict[tuple[int, bool], tuple[Layout, Queued]] = {}
        self._pending: tuple[Layout, Analysis] | None = None

    def run_on_host(self, stream: Bitstream, chosen: Parameters, *, path: bool) -> Analysis:
        """A small batch: the kernel reads and writes the pinned buffer, no copies."""
        if chosen is not self._chosen:
            self._chosen = chosen
            self._ready.clear()
        ready = self._ready.get((stream.length, path))
        if ready is None:
            ready = self._prepare(stream.length, chosen, path=path)
        place, queued = ready
        _fill(self._host, place, stream, 0)
        queued.run(self._stream)
        self._stream.synchronize()
        columns = _columns(self._host[: place.total].copy(), place)
        return _analysis(columns, stream.starts, chosen)

    def _prepare(self, length: int, chosen: Parameters, *, path: bool) -> tuple[Layout, Queued]:
        place = layout(length, chosen.iterations, path=path)
        self._reserve_host(place.total)
        prepared = self._kernels.prepared(chosen)
        job = prepared.at(self._host.ctypes.data, place)
        ready = place, self._kernels.queue(prepared.live, job, length)
        self._ready[length, path] = ready
        return ready

    def start(self, stream: Bitstream, result: Analysis, low: int, *, path: bool) -> None:
        """Queue the copy up, the kernel and the copy down of the rows `low` … of a batch."""
        chosen = result.parameters
        place = layout(len(result), chosen.iterations, path=path)
        self._reserve_host(place.total)
        self._reserve_device(place.total)
        _fill(self._host, place, stream, low)
        host, device, queue = self._host.ctypes.data, self._device.ptr, self._stream.ptr
        prepared = self._kernels.prepared(chosen)
        copy = self._cuda.runtime.memcpyAsync
        copy(device, host, place.inputs, _UP, queue)
        job = prepared.at(device, place)
        self._kernels.queue(prepared.bulk, job, place.length).run(self._stream)
        outputs = place.total - place.inputs
        copy(host + place.inputs, device + place.inputs, outputs, _DOWN, queue)
        self._pending = place, result

    def drain(self) -> None:
        """Wait for what was queued and put its rows into the result."""
        if self._pending is None:
            return
        place, result = self._pending
        self._pending = None
        self._stream.synchronize()
        found = _analysis(_columns(self._host, place), result.starts, result.parameters)
        result.assign(found, self._copiers.map)

    def abandon(self) -> None:
        """Forget what was queued: a fault makes it worthless."""
        self._pending = None

    def _reserve_host(self, size: int) -> None:
        if self._host.size < size:
            self._ready.clear()
            memory = self._cuda.alloc_pinned_memory(size)
            self._host = np.frombuffer(memory, np.uint8, size)

    def _reserve_device(self, size: int) -> None:
        if self._device_size < size:
            self._device = None
            self._device = self._cuda.alloc(size)
            self._device_size = size


def _fill(buffer: NDArray[np.uint8], place: Layout, stream: Bitstream, low: int) -> None:
    """Write the bits and start marks that the rows `low` … of the batch reach."""
    both = buffer[: place.inputs].view(np.uint64).reshape(2, -1)
    both.fill(0)
    first = low // 64 - cuda_job.PAD_WORDS // 2
    last = min(stream.words.size, (low + place.length + 63) // 64)
    both[0, max(0, -first) : last - first] = stream.words[max(0, first) : last]
    starts = stream.starts
    if starts.size == 1:
        both[1, -first if first < 0 else 0] = np.uint64(first < 0)
        return
    begin, end = np.searchsorted(starts, (first * 64, low + place.length))
    marks = starts[begin:end] - first * 64
    np.bitwise_or.at(both[1], marks >> 6, np.uint64(1) << (marks & 63).astype(np.uint64))


def _columns(buffer: NDArray[np.uint8], place: Layout) -> dict[str, NDArray[Any]]:
    """The output arrays of one batch as views of its buffer."""
    return {
        name: np.ndarray(shape, dtype, buffer, offset, strides)
        for name, shape, dtype, offset, strides in place.outputs
    }


def _analysis(
    columns: dict[str, NDArray[Any]], starts: NDArray[np.int64], chosen: Parameters
) -> Analysis:
    damping = None
    if chosen.iterations:
        damping = Damped(
            columns["damped"],
            columns["decay"],
            columns["steps"],
            columns["converged"],
            columns.get("path"),
        )
    metrics, counts = columns["metrics"], columns["counts"]
    return Analysis(metrics, counts, damping, starts, chosen, BACKEND)
