"""What a version of the settings stands for: written once at start, read by `sepd explain`."""

from __future__ import annotations

from sepd.storage.faults import database_errors
from sepd.storage.link import connect
from sepd.storage.queries import QUERIES


async def record_config(url: str, version: str, body: str, timeout_s: float = 5.0) -> None:
    """Keep the settings of `version` as JSON without secrets; a known version stays as it was.

    Raises:
        TransientError, ConfigError: see `sepd.storage.faults`.
    """
    with database_errors(url):
        connection = await connect(url, timeout_s)
        try:
            await connection.execute(QUERIES["record_config"], version, body)
        finally:
            connection.terminate()


async def known_config(url: str, version: str, timeout_s: float = 5.0) -> str | None:
    """The settings of `version` as JSON; None if it never ran here."""
    with database_errors(url):
        connection = await connect(url, timeout_s)
        try:
            found: str | None = await connection.fetchval(QUERIES["config"], version)
        finally:
            connection.terminate()
    return found
