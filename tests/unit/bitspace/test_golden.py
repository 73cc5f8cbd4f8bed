"""The golden rows that ship with the package are the oracle's."""

import json
from importlib.resources import files

from tests.unit.bitspace.golden_cases import documents


def test_the_shipped_golden_rows_are_what_the_oracle_gives() -> None:
    shipped = files("sepd.bitspace").joinpath("golden.json").read_text(encoding="utf-8")
    assert json.loads(shipped) == documents()
