"""Structured logs: JSON lines, or a console on a terminal; secrets never get through."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

_SECRET_KEY = re.compile(r"api_?key|token|password|secret|authorization|credential", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"(?P<head>Bearer\s+)[^\s\"']+|(?P<url>://[^:/@\s]*:)[^@\s]+(?=@)", re.IGNORECASE
)
REDACTED = "[redacted]"


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values of secret-named keys, bearer tokens and passwords in URLs."""
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = REDACTED
        elif isinstance(value, str):
            event[key] = redact_text(value)
    return event


def redact_text(text: str) -> str:
    """`text` without bearer tokens and without the passwords of URLs."""
    return _SECRET_TEXT.sub(lambda m: f"{m['head'] or m['url']}{REDACTED}", text)


def configure(
    format: Literal["auto", "json", "console"] = "auto",  # noqa: A002 - the setting's own name
    level: Literal["debug", "info", "warning", "error"] = "info",
) -> None:
    """Set up logging to stderr for the whole process."""
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
