"""The analysis on an NVIDIA GPU: packed bits up, one launch, columns down.

Batches longer than a chunk are cut; two lanes of buffers and streams let the copies of one
chunk overlap the work of the other. Small batches skip the copies: the kernel reads and writes
pinned host memory itself.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final

from sepd.bitspace.analysis import Analysis
from sepd.bitspace.backend import DeviceFault
from sepd.bitspace.bitstream import Bitstream
from sepd.bitspace.cuda_kernels import Kernels, device_errors
from sepd.bitspace.cuda_lane import BACKEND, COPIERS, Lane
from sepd.bitspace.parameters import Parameters

CHUNK: Final = 1 << 22  # windows per launch of a long batch
DIRECT: Final = 1 << 12  # windows up to which the kernel works on host memory


class CudaBackend:
    """Rows of sections 2 and 3 on CUDA device 0; kernels are compiled when it is made.

    chunk : windows per launch of a long batch
    direct : windows up to which the kernel works on host memory

    Raises
    ------
    DeviceFault
        where CUDA fails or memory runs out, here or in `analyze`.
    """

    name: Final = BACKEND

    def __init__(self, chunk: int = CHUNK, direct: int = DIRECT) -> None:
        self._chunk = -(-chunk // 64) * 64
        self._direct = direct
        self._errors = device_errors()
        self._one_at_a_time = Lock()  # the lanes' buffers belong to one batch
        try:
            self.kernels = Kernels()
            copiers = ThreadPoolExecutor(COPIERS, "sepd-columns")
            self._lanes = (Lane(self.kernels, copiers), Lane(self.kernels, copiers))
        except self._errors as error:
            raise device_fault(error) from error

    @property
    def device(self) -> str:
        """The device's name."""
        return self.kernels.device

    def analyze(self, stream: Bitstream, parameters: Parameters, *, path: bool = False) -> Analysis:
        """All rows of one batch; up to one chunk it is one launch. Threads wait for each other."""
        path = path and parameters.iterations > 0
        try:
            with self._one_at_a_time:
                if 0 < stream.length <= self._direct:
                    return self._lanes[0].run_on_host(stream, parameters, path=path)
                return self._in_chunks(stream, parameters, path=path)
        except self._errors as error:
            for lane in self._lanes:
                lane.abandon()
            raise device_fault(error) from error

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


def device_fault(error: Exception) -> DeviceFault:
    """The fault that the rest of sepd knows."""
    return DeviceFault(f"the CUDA device failed: {error}")
