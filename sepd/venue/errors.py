"""Requests that never become a transaction, as the HTTP layer answers them."""

from __future__ import annotations

from sepd.errors import InputError

_PREFIX = "oanda::rest::core::"


class Refusal(InputError):
    """A request refused with an HTTP `status` and an OANDA error body; no transaction is made."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def invalid(name: str) -> Refusal:
    """A parameter with a value that cannot be used."""
    message = f"Invalid value specified for '{name}'"
    return Refusal(400, message, f"{_PREFIX}InvalidParameterException")


def missing(name: str) -> Refusal:
    """A required parameter that is not there."""
    message = f"Missing or invalid value for required parameter '{name}'"
    return Refusal(400, message, f"{_PREFIX}MissingParameterException")


def not_found(code: str) -> Refusal:
    """A thing that does not exist."""
    return Refusal(404, f"{code.replace('_', ' ').capitalize()}.", code)
