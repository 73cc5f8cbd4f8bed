"""What only a CUDA device can show."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from sepd.bitspace import Analyser, DeviceFault, analyze, bitstream, parameters
from sepd.bitspace.cuda_backend import CudaBackend
from sepd.bitspace.cuda_kernels import device_errors, device_missing
from sepd.bitspace.numpy_backend import NumpyBackend
from tests.unit.bitspace.sweep import digests

pytestmark = pytest.mark.gpu

BITS = np.random.default_rng(8).integers(0, 2, 200_000, np.uint8)


@pytest.fixture(autouse=True)
def device() -> None:
    missing = device_missing()
    if missing:
        pytest.skip(f"cuda: {missing}")


@contextmanager
def memory_limit() -> Iterator[None]:
    """No room on the device, whatever tests before this one have left in the usual pool."""
    import cupy

    pool = cupy.cuda.MemoryPool()
    pool.set_limit(size=1024)
    with cupy.cuda.using_allocator(pool.malloc):
        yield


def test_every_window_and_order_equals_the_cpu() -> None:
    assert digests(CudaBackend()) == digests(NumpyBackend())


@pytest.mark.parametrize(("chunk", "direct"), [(64, 0), (640, 0), (100_000, 0), (1 << 22, 0)])
def test_batches_cut_anywhere_equal_the_whole(chunk: int, direct: int) -> None:
    starts = [0, 1, 63, 64, 65, 700, 9000, 9001, 20_000]
    length = 25_000 if chunk < 1000 else BITS.size
    stream = bitstream(BITS[:length], starts)
    for iterations in (0, 16, 64):
        chosen = parameters(window=64, order=2, iterations=iterations)
        found = CudaBackend(chunk, direct).analyze(stream, chosen).columns()
        for name, column in NumpyBackend().analyze(stream, chosen).columns().items():
            np.testing.assert_array_equal(found[name], column, err_msg=name)


def test_paths_equal_the_cpu() -> None:
    for length in (500, 30_000):
        mine = analyze(BITS[:length], window=20, backend="cuda", path=True).damped.path
        theirs = analyze(BITS[:length], window=20, backend="numpy", path=True).damped.path
        assert mine is not None
        assert theirs is not None
        np.testing.assert_array_equal(mine, theirs)


def test_running_out_of_memory_is_a_device_fault() -> None:
    backend = CudaBackend()
    with memory_limit(), pytest.raises(DeviceFault, match="the CUDA device failed"):
        backend.analyze(bitstream(BITS), parameters())


def test_out_of_memory_in_mid_batch_is_recomputed_on_the_cpu() -> None:
    told: list[str] = []
    analyser = Analyser(parameters(), CudaBackend(), told.append)
    with memory_limit():
        found = analyser.analyze(BITS)
    assert analyser.backend == "numpy"
    assert analyser.degraded
    assert len(told) == 1
    wanted = analyze(BITS, backend="numpy").columns()
    for name, column in found.columns().items():
        np.testing.assert_array_equal(column, wanted[name])


def test_errors_of_the_runtime_and_the_compiler_are_known() -> None:
    import cupy

    with pytest.raises(device_errors()):
        cupy.cuda.runtime.memcpy(0, 0, 16, 99)
    with pytest.raises(device_errors()):
        cupy.RawModule(code="not CUDA").compile()
    with pytest.raises(device_errors()):
        cupy.cuda.alloc(1 << 50)


def test_threads_that_share_a_backend_get_their_own_rows() -> None:
    backend = CudaBackend()
    batches = [bitstream(BITS[low : low + 300 + low % 77]) for low in range(0, 40_000, 200)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: backend.analyze(batch, parameters()), batches))
    for batch, rows in zip(batches, found, strict=True):
        wanted = NumpyBackend().analyze(batch, parameters())
        np.testing.assert_array_equal(rows.damped.metrics, wanted.damped.metrics)
        np.testing.assert_array_equal(rows.metrics, wanted.metrics)
