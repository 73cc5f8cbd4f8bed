"""What the metrics kernel gains and loses by its choices: python benchmarks/variants.py.

Each line is the median rate of one variant, made by rewriting the kernel's source. The first is
the kernel as shipped; "no stores" keeps every instruction but the stores; "stores alone" keeps
the staging and the stores.
"""

from statistics import median
from typing import Any

import cupy
import numpy as np
from numpy.typing import NDArray

from sepd.bitspace import cuda_job
from sepd.bitspace.cuda_backend import CudaBackend
from sepd.bitspace.figures import METRICS, random_stream
from sepd.bitspace.parameters import WINDOW_MAX
from sepd.bitspace.tables import halves

WINDOWS = 1 << 29
NEVER = "out.metric[0][0] + 1 == 0 && out.metric[1][1] == 7 && out.metric[2][2] == 7 && " + (
    " + ".join(f"out.metric[{row}][{pair}]" for row in range(4) for pair in range(4)) + " == 7"
)
STORE = "store<COUNTS>(job, begin + at, out);"
MEASURE = "measure<COUNTS, COPIES>(job, planes, at + 64, tables, out);"
CONSTANT = (
    "for (int r = 0; r < 4; ++r) for (int q = 0; q < 4; ++q) "
    "out.metric[r][q] = planes.flip[(at >> 5) + r] + q;"
)
STREAMING = "__stcs(reinterpret_cast<uint4 *>(metrics),"


def bounded(threads: int, blocks: int, copies: int) -> str:
    source = cuda_job.source()
    source = source.replace(
        "__launch_bounds__(1024, 1) window_metrics(",
        f"__launch_bounds__({threads}, {blocks}) window_metrics(",
    )
    return source.replace("measure_all<false, 32, true>", f"measure_all<false, {copies}, true>")


def rate(source: str, job: NDArray[Any], threads: int, blocks: int, copies: int) -> str:
    function = cupy.RawModule(code=source, options=cuda_job.options()).get_function(
        "window_metrics"
    )
    older, newer = halves(WINDOW_MAX - 1)
    planes = 16 * cuda_job.PLANE_WORDS
    shared = threads // 32 * planes + 4 * (8 + cuda_job.STATES + copies * (older * newer + 1))
    function.max_dynamic_shared_size_bytes = shared
    times = []
    for _ in range(23):
        begun, ended = cupy.cuda.Event(), cupy.cuda.Event()
        begun.record()
        function((132 * blocks,), (threads,), (job,), shared_mem=shared)
        ended.record()
        ended.synchronize()
        times.append(cupy.cuda.get_elapsed_time(begun, ended))
    per_s = WINDOWS / median(times[2:]) / 1e6
    return f"{per_s:6.1f} G/s, {function.num_regs} registers"


def main() -> None:
    kernels = CudaBackend().kernels
    place = cuda_job.layout(WINDOWS, 0, path=False)
    memory = cupy.zeros(place.total // 8 + 64, np.uint64)
    words = random_stream(WINDOWS).words
    memory[4 : 4 + words.size] = cupy.asarray(words)
    job = kernels.prepared(METRICS).at(memory.data.ptr, place)
    shifted = job.view(cuda_job.JOB).copy()
    shifted["metrics"] += np.uint64(16)
    off_line = shifted.view(job.dtype)
    source = cuda_job.source()
    print("as shipped            ", rate(source, job, 1024, 1, 32))
    print("rows off the line     ", rate(source, off_line, 1024, 1, 32))
    no_stores = source.replace(STORE, f"if ({NEVER}) {STORE}")
    print("no stores             ", rate(no_stores, job, 1024, 1, 32))
    print("stores alone          ", rate(source.replace(MEASURE, CONSTANT), job, 1024, 1, 32))
    plain = source.replace(STREAMING, "(*(reinterpret_cast<uint4 *>(metrics)) =")
    print("stores not streaming  ", rate(plain, job, 1024, 1, 32))
    for threads, blocks, copies in (
        (768, 1, 32),
        (512, 1, 32),
        (512, 2, 16),
        (640, 2, 8),
        (512, 2, 4),
        (512, 2, 1),
    ):
        found = rate(bounded(threads, blocks, copies), job, threads, blocks, copies)
        print(f"{threads} x {blocks}, {copies:2} copies   ", found)


if __name__ == "__main__":
    main()
