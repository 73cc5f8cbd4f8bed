"""The process beside its GPU."""

from pathlib import Path

import pytest

from sepd.affinity import Placement, bind, cpu_list, gpu_placement, sysfs_bus_id


def machine(root: Path, nodes: dict[int, str], gpu_node: int) -> Path:
    for node, cpus in nodes.items():
        folder = root / f"devices/system/node/node{node}"
        folder.mkdir(parents=True)
        (folder / "cpulist").write_text(cpus + "\n")
    device = root / "bus/pci/devices/0000:65:00.0"
    device.mkdir(parents=True)
    (device / "numa_node").write_text(f"{gpu_node}\n")
    return root


def test_one_node_leaves_nothing_to_do(tmp_path: Path) -> None:
    found = gpu_placement(lambda: "0000:65:00.0", machine(tmp_path, {0: "0-15"}, 0))
    assert (found.node, found.cpus) == (None, frozenset())
    assert "nothing to do" in found.reason


def test_the_node_of_the_gpu_is_chosen(tmp_path: Path) -> None:
    found = gpu_placement(
        lambda: "0000:65:00.0", machine(tmp_path, {0: "0-3,8-11", 1: "4-7,12-15"}, 1)
    )
    assert (found.node, found.cpus) == (1, frozenset({4, 5, 6, 7, 12, 13, 14, 15}))


@pytest.mark.parametrize(("bus_id", "gpu_node"), [(None, 1), ("0000:65:00.0", -1)])
def test_an_unknown_place_is_said_and_nothing_is_chosen(
    tmp_path: Path, bus_id: str | None, gpu_node: int
) -> None:
    found = gpu_placement(lambda: bus_id, machine(tmp_path, {0: "0-3", 1: "4-7"}, gpu_node))
    assert found.node is None
    assert found.reason


def test_nvml_and_sysfs_spell_the_bus_differently() -> None:
    assert sysfs_bus_id("00000000:65:00.0") == "0000:65:00.0"
    assert sysfs_bus_id("0001C4A2:0B:00.0") == "c4a2:0b:00.0"


@pytest.mark.parametrize(
    ("text", "cpus"), [("0\n", {0}), ("0-2,5", {0, 1, 2, 5}), ("\n", set()), ("7,9-10", {7, 9, 10})]
)
def test_cpu_lists(text: str, cpus: set[int]) -> None:
    assert cpu_list(text) == cpus


def test_binding_never_leaves_the_cpus_that_the_process_may_use() -> None:
    before = bind(Placement(None, frozenset(), "nothing"))
    assert bind(Placement(1, frozenset({100_000}), "out of reach")) == before
    assert bind(Placement(0, before, "the same")) == before
