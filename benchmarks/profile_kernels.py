"""Run each bulk kernel twice, for a profiler: ncu python3 benchmarks/profile_kernels.py."""

from sepd.bitspace.cuda_backend import CudaBackend
from sepd.bitspace.figures import DAMPED, METRICS, DeviceFigures

if __name__ == "__main__":
    figures = DeviceFigures(CudaBackend())
    figures.kernel_rate(METRICS, 1 << 28, repeats=1)
    figures.kernel_rate(DAMPED, 1 << 26, counts=True, repeats=1)
