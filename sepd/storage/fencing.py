"""Writes of a leader that another has followed are refused by the database."""

from __future__ import annotations

import asyncpg

from sepd.errors import InvariantViolated
from sepd.storage.queries import QUERIES


class Fenced(InvariantViolated):
    """Another sepd leads the account: this one must stop."""

    def __init__(self, epoch: int) -> None:
        super().__init__(
            f"Another sepd leads this account; our epoch {epoch} is over and nothing was written."
        )


async def hold_epoch(connection: asyncpg.Connection, account_id: str, epoch: int) -> None:
    """Keep the account's epoch from changing until the transaction ends.

    Raises:
        Fenced: it is not `epoch` any more.
    """
    if (await connection.fetchval(QUERIES["hold_epoch"], account_id) or 0) != epoch:
        raise Fenced(epoch)
