"""The analysis on an NVIDIA GPU: packed bits up, one launch, columns down.

Batches longer than a chunk are cut; two lanes of buffers and streams let the copies of one
chunk overlap the work of the other. Small batches skip the copies: the kernel reads and writes
pinned host memory itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace import cuda_job
from sepd.bitspace.analyse import DeviceFault
from sepd.bitspace.analysis import Analysis, Damped
from sepd.bitspace.bitstream import Bitstream
from sepd.bitspace.cuda_job import Launch, Layout, layout
from sepd.bitspace.parameters import Parameters

CHUNK: Final = 1 << 22  # windows per launch of a long batch
DIRECT: Final = 1 << 12  # windows up to which the kernel works on host memory
_UP, _DOWN = 1, 2  # cudaMemcpyKind
_OPAQUE: Final = np.dtype((np.void, cuda_job.JOB.itemsize))  # CuPy would walk the fields


def device_missing() -> str | None:
    """Why no CUDA device can be used, or None where one answers."""
    try:
        import cupy  # noqa: PLC0415
    except ImportError:
        return "cupy is not installed"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"the CUDA driver answers: {error}"
    return None if count else "no CUDA device is present"


@contextmanager
def device_faults() -> Iterator[None]:
    """Turn every error of CuPy and CUDA into `DeviceFault`."""
    import cupy  # noqa: PLC0415

    cuda = cupy.cuda
    errors = (
        cuda.runtime.CUDARuntimeError,
        cuda.driver.CUDADriverError,
        cuda.memory.OutOfMemoryError,
        cuda.compiler.CompileException,
    )
    try:
        yield
    except errors as error:
        raise DeviceFault(f"the CUDA device failed: {error}") from error


class CudaBackend:
    """Rows of sections 2 and 3 on CUDA device 0; kernels are compiled when it is made.

    chunk : windows per launch of a long batch
    direct : windows up to which the kernel works on host memory

    Raises
    ------
    DeviceFault
        where CUDA fails or memory runs out, here or in `analyze`.
    """

    name: Final = "cuda"

    def __init__(self, chunk: int = CHUNK, direct: int = DIRECT) -> None:
        self._chunk = -(-chunk // 64) * 64
        self._direct = direct
        with device_faults():
            self.kernels = Kernels()
            self._lanes = (Lane(self.kernels), Lane(self.kernels))

    @property
    def device(self) -> str:
        """The device's name."""
        return self.kernels.device

    def analyze(self, stream: Bitstream, parameters: Parameters, *, path: bool = False) -> Analysis:
        """All rows of one batch; a batch up to one chunk is one launch."""
        path = path and parameters.iterations > 0
        try:
            with device_faults():
                if 0 < stream.length <= self._direct:
                    return self._lanes[0].run_on_host(stream, parameters, path=path)
                return self._in_chunks(stream, parameters, path=path)
        except DeviceFault:
            for lane in self._lanes:
                lane.abandon()
            raise

    def _in_chunks(self, stream: Bitstream, chosen: Parameters, *, path: bool) -> Analysis:
        result = Analysis.empty(stream.length, stream.starts, chosen, self.name, path=path)
        chunk = self._chunk if not path else max(64, self._chunk // 2048 * 64)
        for number, low in enumerate(range(0, stream.length, chunk)):
            lane = self._lanes[number % 2]
            lane.drain()
            high = min(stream.length, low + chunk)
            lane.start(stream, result.rows(low, high), low, path=path)
        for lane in self._lanes:
            lane.drain()
        return result


class Kernels:
    """The compiled module, its limits, and the tables that live on the device."""

    def __init__(self) -> None:
        import cupy  # noqa: PLC0415

        self.cupy = cupy
        properties = cupy.cuda.runtime.getDeviceProperties(0)
        self.device = str(properties["name"].decode())
        self._multiprocessors = int(properties["multiProcessorCount"])
        self._shared_limit = int(properties["sharedMemPerBlockOptin"]) - 1024
        module = cupy.RawModule(code=cuda_job.source(), options=cuda_job.options())
        module.compile()
        self._functions = {name: module.get_function(name) for name in cuda_job.KERNELS}
        for function in self._functions.values():
            function.max_dynamic_shared_size_bytes = self._shared_limit
        self._prepared: dict[Parameters, Prepared] = {}

    def prepared(self, chosen: Parameters) -> "Prepared":
        """What every batch with these parameters shares, kept for the next one."""
        found = self._prepared.get(chosen)
        if found is None:
            found = self._prepared[chosen] = self._prepare(chosen)
        return found

    def _prepare(self, chosen: Parameters) -> "Prepared":
        arrays = {
            name: self.cupy.asarray(table) for name, table in cuda_job.kernel_tables(chosen).items()
        }
        job = cuda_job.job_template(chosen)
        for name, array in arrays.items():
            job[name] = array.data.ptr
        limit = self._shared_limit
        return Prepared(
            job,
            arrays,
            cuda_job.launch(chosen, bulk=False, counts=True, limit=limit),
            cuda_job.launch(chosen, bulk=True, counts=True, limit=limit),
            cuda_job.launch(chosen, bulk=True, counts=False, limit=limit),
        )

    def run(self, shape: Launch, job: NDArray[np.void], length: int, stream: Any) -> None:
        """Queue one kernel over `length` windows; a live one takes a block for each tile."""
        most = self._multiprocessors if shape.persistent else length
        blocks = shape.blocks(length, most)
        self._functions[shape.kernel](
            (blocks,), (shape.threads,), (job,), shared_mem=shape.shared_bytes, stream=stream
        )


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A job without a batch, the device tables it points to, and the launches to choose from."""

    job: NDArray[np.void]
    tables: dict[str, Any]
    live: Launch
    bulk: Launch
    without_counts: Launch

    def at(self, base: int, place: Layout) -> NDArray[np.void]:
        """The job for a batch that lies at address `base`."""
        job = self.job.copy()
        for name, offset in place.offsets.items():
            job[name] = base + offset
        job["bits"] += np.uint64(4 * cuda_job.PAD_WORDS)
        job["starts"] += np.uint64(4 * cuda_job.PAD_WORDS)
        job["length"], job["stride"] = place.length, place.stride
        return job.view(_OPAQUE)


class Lane:
    """One stream with a pinned and a device buffer that grow and stay."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self._cuda = kernels.cupy.cuda
        self._stream = self._cuda.Stream(non_blocking=True)
        self._host: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._device: Any = None
        self._device_size = 0
        self._jobs: dict[tuple[Parameters, Layout], NDArray[np.void]] = {}
        self._pending: tuple[Layout, Analysis] | None = None

    def run_on_host(self, stream: Bitstream, chosen: Parameters, *, path: bool) -> Analysis:
        """A small batch: the kernel reads and writes the pinned buffer, no copies."""
        place = layout(stream.length, chosen.iterations, path=path)
        self._reserve_host(place.total)
        _fill(self._host, place, stream, 0)
        prepared = self._kernels.prepared(chosen)
        job = self._jobs.get((chosen, place))
        if job is None:
            job = prepared.at(self._host.ctypes.data, place)
            self._jobs[chosen, place] = job
        self._kernels.run(prepared.live, job, place.length, self._stream)
        self._stream.synchronize()
        columns = _columns(self._host[: place.total].copy(), place)
        return _analysis(columns, stream.starts, chosen)

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
        self._kernels.run(prepared.bulk, prepared.at(device, place), place.length, self._stream)
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
        result.assign(found)

    def abandon(self) -> None:
        """Forget what was queued: a fault makes it worthless."""
        self._pending = None

    def _reserve_host(self, size: int) -> None:
        if self._host.size < size:
            self._jobs.clear()
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
    return Analysis(metrics, counts, damping, starts, chosen, CudaBackend.name)
