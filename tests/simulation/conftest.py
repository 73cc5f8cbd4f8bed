"""Recorded prices to simulate with."""

from __future__ import annotations

from pathlib import Path

import pytest

from sepd.market.tape import sample_path


@pytest.fixture(scope="session")
def both_tapes(sepd_data: Path) -> tuple[Path, ...]:
    """Hours of two pairs that share a currency."""
    return sepd_data / "oanda/EUR_USD.H1.csv.gz", sepd_data / "oanda/NZD_USD.H1.csv.gz"


@pytest.fixture
def recorded_tapes(request: pytest.FixtureRequest) -> tuple[Path, ...]:
    """Two pairs where they are, else the sample."""
    try:
        both: tuple[Path, ...] = request.getfixturevalue("both_tapes")
    except pytest.skip.Exception:
        return (sample_path(),)
    return both
