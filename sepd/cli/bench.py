"""`sepd bench`: what this machine does, measured while you wait."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sepd.bitspace import golden
from sepd.bitspace.cuda_backend import CudaBackend
from sepd.bitspace.cuda_kernels import device_missing
from sepd.bitspace.figures import CPU_WINDOWS, cpu_figures, cuda_figures
from sepd.bitspace.numpy_backend import NumpyBackend
from sepd.cli.options import AsJson, print_json

app = typer.Typer(help="Measure this machine.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure this machine."""


@app.command()
def engine(
    as_json: AsJson = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    windows: Annotated[int, typer.Option(min=1, help="Windows per CPU run.")] = CPU_WINDOWS,
) -> None:
    """Windows per second and latencies of the engine, on the CPU and, where there is one, a GPU."""
    document: dict[str, Any] = {
        "golden_rows": golden.prove(NumpyBackend()),
        "cpu": cpu_figures(threads, windows),
    }
    missing = device_missing()
    if missing is None:
        backend = CudaBackend()
        golden.prove(backend)
        document["cuda"] = cuda_figures(backend)
    else:
        document["cuda_missing"] = missing
    if as_json:
        print_json(document)
    else:
        typer.echo("\n".join(lines(document)))


def lines(document: dict[str, Any]) -> list[str]:
    """The figures as text, one to a line."""
    cpu = document["cpu"]
    found = [
        f"golden rows proven     {document['golden_rows']}",
        f"CPU metrics            {_rate(cpu['metrics'])} on {cpu['threads']} thread(s)",
        f"CPU metrics + damping  {_rate(cpu['damped'])}",
        f"stream, metrics        {cpu['stream_metrics_ns']} ns per bit",
        f"stream, damping        {cpu['stream_damped_ns']} ns per bit",
    ]
    if "cuda" not in document:
        return [*found, f"GPU                    none: {document['cuda_missing']}"]
    cuda = document["cuda"]
    found.append(
        f"GPU                    {cuda['device']}, copy {cuda['copy_bytes_per_s'] / 1e12:.2f} TB/s"
    )
    found += [
        f"GPU {name:<19}{_rate(rate)}, {rate['of_copy']:.0%} of the copy's bytes/s"
        for name, rate in cuda["kernels"].items()
    ]
    found += [
        f"host to host {name:<10}{_rate(rate)}" for name, rate in cuda["host_to_host"].items()
    ]
    found += [
        f"round trip {name:<12}{trip['windows']} windows: p50 {trip['p50_us']:.1f} µs, "
        f"p99 {trip['p99_us']:.1f} µs"
        for name, trips in cuda["round_trips"].items()
        for trip in trips
    ]
    return found


def _rate(rate: dict[str, float]) -> str:
    return f"{rate['windows_per_s'] / 1e6:,.1f} M windows/s"
