"""The tests notice when a safeguard is taken out: each is, one by one, in a copy of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sabotage import EXECUTION, RISK, Sabotage, run_copy
from tests.unit.execution.sabotages import SABOTAGES as OF_EXECUTION
from tests.unit.risk.sabotages import SABOTAGES as OF_RISK


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("tests", [EXECUTION, RISK])
def test_the_copy_itself_is_good(tests: str, tmp_path: Path) -> None:
    code, output = run_copy(tests, tmp_path, None)
    assert code == 0, output


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "sabotage", [*OF_EXECUTION, *OF_RISK], ids=lambda one: one.what.replace(" ", "_")
)
def test_a_missing_safeguard_is_noticed(sabotage: Sabotage, tmp_path: Path) -> None:
    code, output = run_copy(sabotage.tests, tmp_path, sabotage)
    assert code == 1, f"nothing failed: {output}"
