"""The golden rows that ship with the package are the oracle's."""

import json
from importlib.resources import files
from pathlib import Path

from sepd.bitspace.numpy_backend import NumpyBackend
from tests.unit.bitspace.golden_cases import documents
from tests.unit.bitspace.sweep import digests


def test_the_shipped_golden_rows_are_what_the_oracle_gives() -> None:
    shipped = files("sepd.bitspace").joinpath("golden.json").read_text(encoding="utf-8")
    assert json.loads(shipped) == documents()


def test_what_a_gpu_wrote_down_is_what_the_cpu_gives() -> None:
    golden = Path(__file__).parents[2] / "golden/bitspace/sweep.json"
    document = json.loads(golden.read_text(encoding="utf-8"))
    assert "NVIDIA" in document["device"]
    assert digests(NumpyBackend()) == document["digests"]
