"""The audit log's hash chain: is every row as it was written, and is none missing?"""

from __future__ import annotations

import asyncpg
from msgspec import Struct

from sepd.storage.queries import QUERIES


class AuditReport(Struct, frozen=True):
    """Result of a verification. `head` is the chain's newest hash in hex, to be kept elsewhere.

    `first_bad` is the first row that is altered, missing or out of place; None where all is well.
    """

    rows: int
    head: str
    first_bad: int | None

    @property
    def ok(self) -> bool:
        """Whether the chain is whole."""
        return self.first_bad is None


async def verify_audit(connection: asyncpg.Connection) -> AuditReport:
    """Compute the chain anew, in one reading transaction."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        head = await connection.fetchrow(QUERIES["audit_head"])
        first_bad = await connection.fetchval(QUERIES["broken_audit_row"])
    if first_bad is None and (head["last_sequence"], head["last_hash"]) != (
        head["sequence"],
        head["hash"] if head["sequence"] else None,
    ):
        first_bad = min(head["last_sequence"], head["sequence"]) + 1  # rows were cut off the end
    return AuditReport(head["sequence"], head["hash"].hex(), first_bad)
