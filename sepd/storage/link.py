"""One connection, used by one task at a time and made anew after any fault."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType

import asyncpg

from sepd.storage.faults import DRIVER_ERRORS, check_url, database_errors, in_place_of


class Link:
    """A connection of one's own to the database at `url`, for the length of an `async with`.

    A fault or a cancellation inside the block may leave a statement half answered: the connection
    is then dropped without a word to the server, which rolls back. The block raises
    TransientError, ConfigError or InvariantViolated in place of the driver's errors.

    Args:
        timeout_s: deadline of connecting and of every statement.
        settings: of the session, beside those that all have.
    """

    def __init__(self, url: str, timeout_s: float, settings: Mapping[str, str] = {}) -> None:
        check_url(url)
        self.url = url
        self._timeout_s = timeout_s
        self._settings = settings
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> asyncpg.Connection:
        await self._lock.acquire()
        if self._connection is None or self._connection.is_closed():
            try:
                with database_errors(self.url):
                    self._connection = await connect(self.url, self._timeout_s, self._settings)
            except BaseException:
                self.drop()
                self._lock.release()
                raise
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()  # nobody else runs before this returns
        if error is not None:
            self.drop()
        if isinstance(error, DRIVER_ERRORS):
            raise in_place_of(error, self.url) from error

    @property
    def in_use(self) -> bool:
        """Whether somebody has the connection."""
        return self._lock.locked()

    def drop(self) -> None:
        """Disconnect at once; may be called twice."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


async def connect(
    url: str, timeout_s: float, settings: Mapping[str, str] = {}
) -> asyncpg.Connection:
    """A connection with our session settings; `timeout_s` also limits every statement."""
    connection = await asyncpg.connect(
        url, timeout=timeout_s, command_timeout=timeout_s, server_settings={**SESSION, **settings}
    )
    await prepare(connection)
    return connection


async def prepare(connection: asyncpg.Connection) -> None:
    """Read decimals as they are written: the driver's binary form makes 1E+5 of 100000."""
    await connection.set_type_codec(
        "numeric", schema="pg_catalog", encoder=str, decoder=Decimal, format="text"
    )


SESSION = {
    "application_name": "sepd",
    "timezone": "UTC",
    "synchronous_commit": "on",
    "client_min_messages": "warning",
}
BY_KEY = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
"""For a few long statements that find every row by its key: planning one takes as long as carrying
it out, and a plan made while a table was small must do when it has grown."""
