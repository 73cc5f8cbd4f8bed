"""Fixtures of the venue's account."""

from __future__ import annotations

import pytest

from tests.support.desk import Desk, make_desk


@pytest.fixture
def desk() -> Desk:
    """A netting account in USD."""
    return make_desk()
