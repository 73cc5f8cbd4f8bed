"""A venue in the test's own event loop, as the recorded facts are compared with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sepd.clock import EventClock
from tests.support.venue_app import Client, conductor, serving
from tests.support.venue_process import write_tape


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Client]:
    """A stepped venue on two pairs, ten quotes of each into the tape."""
    tapes = [write_tape(tmp_path, 400), write_tape(tmp_path, 400, "NZD_USD", 0.8)]
    async with serving(conductor(*tapes, clock=EventClock(1))) as client:
        await client.advance(20)
        yield client
