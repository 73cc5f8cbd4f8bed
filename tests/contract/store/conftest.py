"""Fixtures of the storage tests."""

from __future__ import annotations

from tests.support.servers import (
    database_url,
    empty_database_url,
    postgres_server,
)

__all__ = ["database_url", "empty_database_url", "postgres_server"]
