"""Writes of a leader that another has followed are refused by the database."""

from __future__ import annotations

from sepd.errors import InvariantViolated


class Fenced(InvariantViolated):
    """Another sepd leads the account: this one must stop."""

    def __init__(self, epoch: int) -> None:
        super().__init__(
            f"Another sepd leads this account; our epoch {epoch} is over and nothing was written."
        )
