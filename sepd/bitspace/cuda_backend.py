"""The analysis on an NVIDIA GPU."""

from sepd.bitspace.analysis import Analysis
from sepd.bitspace.bitstream import Bitstream
from sepd.bitspace.parameters import Parameters


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


class CudaBackend:
    """Rows of sections 2 and 3 on the first CUDA device."""

    name = "cuda"
    device = "device"

    def analyze(self, stream: Bitstream, parameters: Parameters, *, path: bool = False) -> Analysis:
        raise NotImplementedError
