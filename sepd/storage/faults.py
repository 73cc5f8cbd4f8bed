"""Driver errors mapped to ours, by the reaction they call for. Nothing else leaves the store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg

from sepd.errors import ConfigError, InvariantViolated, SepdError, TransientError
from sepd.log import redact_text
from sepd.supervise import being_cancelled

_PASSWORD = re.compile(r"(password=)[^&\s]+", re.IGNORECASE)

# SQLSTATE classes and codes: PostgreSQL documentation, appendix A.
_CONFIG = {
    "28": "Check the user and password in DATABASE_URL, and pg_hba.conf on the server.",
    "3D": "Create the database, or correct its name in DATABASE_URL.",
    "42501": "Grant this user the rights that the sentence names (see docs/operations.md).",
    "0A": "Use PostgreSQL 14 or newer.",
}
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    EOFError,
)
"""What the driver may raise; each has one of ours."""
_TRANSIENT = ("08", "25006", "40", "53", "55", "57", "58")
_UNREACHABLE = "Start PostgreSQL, or correct DATABASE_URL."


def redact_url(url: str) -> str:
    """`url` without its password, wherever that stands."""
    return _PASSWORD.sub(r"\1[redacted]", redact_text(url))


def map_error(error: Exception, url: str) -> SepdError:
    """The error of ours for one of the driver's."""
    where, words = redact_url(url), redact_url(str(error))
    if isinstance(error, asyncpg.PostgresError):
        return _map_sqlstate(error, where, words)
    if isinstance(error, TimeoutError):
        return TransientError(f"PostgreSQL at {where} did not answer in time.")
    if isinstance(error, asyncpg.InternalClientError):
        return TransientError(f"The connection to PostgreSQL at {where} broke: {words}.")
    if isinstance(error, asyncpg.InterfaceError):
        if any(word in words for word in ("closed", "closing", "released")):
            return TransientError(f"The connection to PostgreSQL at {where} is closed.")
        return InvariantViolated(f"PostgreSQL at {where} was used wrongly: {words}")
    return TransientError(f"PostgreSQL at {where} cannot be reached: {words}. {_UNREACHABLE}")


def _map_sqlstate(error: asyncpg.PostgresError, where: str, words: str) -> SepdError:
    state = getattr(error, "sqlstate", None) or ""
    sentence = f"PostgreSQL at {where} says: {words}"
    for prefix, remedy in _CONFIG.items():
        if state.startswith(prefix):
            return ConfigError(f"{sentence}. {remedy}")
    if state.startswith(_TRANSIENT):
        return TransientError(f"{sentence}.")
    return InvariantViolated(f"{sentence} ({state or type(error).__name__}).")


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """Raise ours in place of the driver's errors, with the redacted `url` in the sentence."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise in_place_of(error, url) from error


def in_place_of(error: Exception, url: str) -> SepdError | asyncio.CancelledError:
    """What to raise where the driver has raised `error`.

    A rollback that fails takes the place of what made it necessary, be it a cancellation or the
    loss of the connection; that is undone.
    """
    if being_cancelled():
        return asyncio.CancelledError()
    return map_error(_origin(error), url)


def _origin(error: Exception) -> Exception:
    """The first of the driver's errors, where a misuse was only met in its wake."""
    before = error.__context__
    if isinstance(error, asyncpg.InterfaceError) and isinstance(before, DRIVER_ERRORS):
        return _origin(before)
    return error


def check_url(url: str) -> None:
    """Refuse an address that cannot be one of PostgreSQL.

    Raises:
        ConfigError: with the redacted address.
    """
    try:
        parts = urlsplit(url)
        wrong = parts.scheme not in {"postgresql", "postgres"}
        _ = parts.port
    except ValueError:
        wrong = True
    if wrong:
        raise ConfigError(
            f"DATABASE_URL {redact_url(url)!r} is not an address such as "
            "postgresql://user:password@host:5432/sepd."
        )
