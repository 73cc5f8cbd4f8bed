"""Every error of the driver becomes one of ours, and no password gets through."""

from __future__ import annotations

import asyncpg
import pytest

from sepd.errors import ConfigError, InvariantViolated, SepdError, TransientError
from sepd.storage.faults import check_url, database_errors, redact_url

URL = "postgresql://sepd:hunter2@db.example:5432/sepd"


def subclasses(kind: type[BaseException]) -> list[type[BaseException]]:
    return [kind, *(each for sub in kind.__subclasses__() for each in subclasses(sub))]


DRIVER = [
    *subclasses(asyncpg.PostgresError),
    *subclasses(asyncpg.InterfaceError),
    *subclasses(asyncpg.InternalClientError),
    OSError,
    ConnectionResetError,
    TimeoutError,
    EOFError,
]


@pytest.mark.parametrize("kind", DRIVER, ids=lambda kind: kind.__name__)
def test_no_driver_error_gets_out(kind: type[Exception]) -> None:
    with pytest.raises(SepdError) as caught, database_errors(URL):
        raise kind("connection is closed; password=hunter2")
    assert "hunter2" not in str(caught.value)
    assert "db.example" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        (asyncpg.InvalidPasswordError, ConfigError),
        (asyncpg.InvalidCatalogNameError, ConfigError),
        (asyncpg.InsufficientPrivilegeError, ConfigError),
        (asyncpg.CannotConnectNowError, TransientError),
        (asyncpg.AdminShutdownError, TransientError),
        (asyncpg.TooManyConnectionsError, TransientError),
        (asyncpg.DiskFullError, TransientError),
        (asyncpg.DeadlockDetectedError, TransientError),
        (asyncpg.QueryCanceledError, TransientError),
        (asyncpg.ConnectionDoesNotExistError, TransientError),
        (asyncpg.CheckViolationError, InvariantViolated),
        (asyncpg.UndefinedTableError, InvariantViolated),
        (TimeoutError, TransientError),
        (ConnectionRefusedError, TransientError),
    ],
)
def test_errors_are_named_by_the_reaction_they_call_for(
    kind: type[Exception], ours: type[SepdError]
) -> None:
    with pytest.raises(ours), database_errors(URL):
        raise kind("words of the server")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://sepd:hunter2@h/sepd",
        "postgresql://h/sepd?user=a&password=hunter2&x=1",
        "postgres://a:hunter2@/sepd?host=/run",
    ],
)
def test_passwords_are_taken_out_of_addresses(url: str) -> None:
    assert "hunter2" not in redact_url(url)


@pytest.mark.parametrize("url", ["", "mysql://h/db", "host=h", "postgresql://h:port/db"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        check_url(url)


def lose_the_connection_and_roll_back() -> None:
    try:
        raise asyncpg.ConnectionDoesNotExistError("closed in the middle of operation")
    finally:
        raise asyncpg.InterfaceError("another operation is in progress")


def test_a_rollback_that_fails_does_not_hide_the_loss_of_the_connection() -> None:
    with pytest.raises(TransientError, match="in the middle"), database_errors(URL):
        lose_the_connection_and_roll_back()
