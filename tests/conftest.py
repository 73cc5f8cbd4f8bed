"""Fixtures for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.disk", "tests.support.servers", "tests.support.storage"]

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("ci", deadline=None, print_blob=True)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def sepd_data() -> Path:
    """Recorded OANDA prices outside the repository; tests that need them skip without."""
    folder = Path(os.environ.get("SEPD_DATA", ROOT / "../shared/data")).resolve()
    if not (folder / "oanda").is_dir():
        pytest.skip(f"SEPD_DATA: no recorded prices in {folder}")
    return folder
