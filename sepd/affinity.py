"""Where the process sits: on a machine with several NUMA nodes, beside its GPU.

NVML names the GPU's place on the PCI bus, sysfs its node and that node's CPUs. Binding the
process before it allocates makes the kernel give it, and its pinned buffers, memory of that
node. On a machine with one node nothing is done.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the process should sit.

    node : the GPU's NUMA node, None where there is nothing to choose
    cpus : the node's CPUs, empty where there is nothing to choose
    reason : one sentence for `sepd doctor`
    """

    node: int | None
    cpus: frozenset[int]
    reason: str


def gpu_bus_id() -> str | None:
    """The first GPU's place on the PCI bus as sysfs spells it; None without NVML or a GPU."""
    try:
        import pynvml  # noqa: PLC0415
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        bus_id = pynvml.nvmlDeviceGetPciInfo(pynvml.nvmlDeviceGetHandleByIndex(0)).busId
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
    return sysfs_bus_id(bus_id.decode() if isinstance(bus_id, bytes) else str(bus_id))


def sysfs_bus_id(nvml_bus_id: str) -> str:
    """NVML writes the PCI domain in eight digits, sysfs in four, in lower case."""
    domain, _, rest = nvml_bus_id.lower().partition(":")
    return f"{domain[-4:]}:{rest}"


def gpu_placement(bus_id: Callable[[], str | None] = gpu_bus_id, sysfs: Path = SYSFS) -> Placement:
    """Where the process should sit on this machine; nothing is changed."""
    nodes = sorted((sysfs / "devices/system/node").glob("node[0-9]*"))
    if len(nodes) < 2:
        return Placement(None, frozenset(), "one NUMA node: nothing to do")
    place = bus_id()
    if place is None:
        return Placement(None, frozenset(), f"{len(nodes)} NUMA nodes, and NVML names no GPU")
    node = int((sysfs / "bus/pci/devices" / place / "numa_node").read_text())
    if node < 0:
        return Placement(None, frozenset(), f"the system does not say which node GPU {place} is on")
    cpus = cpu_list((sysfs / f"devices/system/node/node{node}/cpulist").read_text())
    return Placement(node, cpus, f"GPU {place} is on NUMA node {node} of {len(nodes)}")


def cpu_list(text: str) -> frozenset[int]:
    """CPUs of a kernel list such as "0-3,8,10-11"."""
    cpus: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def bind(placement: Placement) -> frozenset[int]:
    """Keep the process on the node's CPUs, within those it may use; the CPUs it now has."""
    allowed = os.sched_getaffinity(0)
    wanted = placement.cpus & allowed
    if wanted and wanted != allowed:
        os.sched_setaffinity(0, wanted)
    return frozenset(os.sched_getaffinity(0))
