"""Ending a stream that is left before its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any


async def closing(stream: AsyncIterator[Any]) -> None:
    """Close `stream` at once, connection included, if it is a generator."""
    if isinstance(stream, AsyncGenerator):
        await stream.aclose()
