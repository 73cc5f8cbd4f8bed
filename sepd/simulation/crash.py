"""The end of a simulated process."""

from __future__ import annotations


class Crashed(BaseException):
    """The process is gone; whatever catches this has no effect on anything any more."""
