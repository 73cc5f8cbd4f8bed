"""The compiled kernels of one CUDA device, and what every launch with them shares."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace import cuda_job
from sepd.bitspace.cuda_job import Launch, Layout
from sepd.bitspace.parameters import Parameters

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


def device_errors() -> tuple[type[Exception], ...]:
    """Every error by which CuPy says that the device or its compiler failed."""
    import cupy  # noqa: PLC0415

    cuda = cupy.cuda
    return (
        cuda.runtime.CUDARuntimeError,
        cuda.driver.CUDADriverError,
        cuda.memory.OutOfMemoryError,
        cuda.compiler.CompileException,
    )


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

    def queue(self, shape: Launch, job: NDArray[np.void], length: int) -> "Queued":
        """One kernel over `length` windows; a live one takes a block for each tile."""
        most = self._multiprocessors if shape.persistent else length
        return Queued(
            self._functions[shape.kernel],
            (shape.blocks(length, most),),
            (shape.threads,),
            (job,),
            shape.shared_bytes,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Queued:
    """A kernel with its grid and its arguments."""

    function: Any
    blocks: tuple[int]
    threads: tuple[int]
    arguments: tuple[NDArray[np.void]]
    shared_bytes: int

    def run(self, stream: Any) -> None:
        """Queue it on a stream; None is the default stream."""
        self.function(
            self.blocks, self.threads, self.arguments, shared_mem=self.shared_bytes, stream=stream
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
