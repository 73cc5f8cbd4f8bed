"""Kernel figures in short, for development on a GPU machine: python benchmarks/probe.py."""

from sepd.bitspace.cuda_backend import CudaBackend
from sepd.bitspace.figures import DAMPED, METRICS, TRIP_WINDOWS, DeviceFigures
from sepd.bitspace.golden import prove

if __name__ == "__main__":
    backend = CudaBackend()
    print(backend.device, "proved", prove(backend), "golden rows")
    figures = DeviceFigures(backend)
    print(f"copy {figures.copy_bytes_per_s() / 1e12:.2f} TB/s")
    for name, chosen, counts in (
        ("metrics", METRICS, False),
        ("metrics+counts", METRICS, True),
        ("damped", DAMPED, True),
    ):
        rate = figures.kernel_rate(chosen, 1 << 28, counts=counts)
        print(f"{name} {rate.windows_per_s / 1e9:.1f} G/s {rate.bytes_per_s / 1e12:.2f} TB/s")
    for chosen in (METRICS, DAMPED):
        for windows in TRIP_WINDOWS:
            print(figures.round_trip(chosen, windows))
