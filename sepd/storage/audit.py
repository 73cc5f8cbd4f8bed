"""The audit log's hash chain: is every row as it was written, and is none missing?"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import asyncpg
import msgspec
from msgspec import Struct

from sepd.domain.account import AccountEvent
from sepd.domain.order import OrderIntent, OrderState
from sepd.storage.queries import QUERIES

ORIGIN = sha256(b"sepd").digest()
"""The hash before the first row."""


class AuditRow(Struct, frozen=True):
    """A row of audit_log. `hash` covers the other fields and the hash before it."""

    sequence: int
    time_ns: int
    account_id: str
    kind: str
    body: bytes
    hash: bytes = b""


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


def chained(previous: bytes, row: AuditRow) -> AuditRow:
    """`row` with its hash after a row whose hash is `previous`: sepd_audit_hash in Python."""
    numbers = row.sequence.to_bytes(8, signed=True) + row.time_ns.to_bytes(8, signed=True)
    names = sha256(row.account_id.encode()).digest() + sha256(row.kind.encode()).digest()
    covered = sha256(previous + numbers + names + row.body)
    return msgspec.structs.replace(row, hash=covered.digest())


def first_broken(rows: Sequence[AuditRow]) -> int | None:
    """The first place of a chain that does not hold the row written there; None if all do."""
    previous = ORIGIN
    for place, row in enumerate(rows, 1):
        if row.sequence != place or row != chained(previous, row):
            return place
        previous = row.hash
    return None


def intent_body(intent: OrderIntent, snapshot: bytes) -> bytes:
    """What a row of kind `intent` holds."""
    return msgspec.json.encode(intent) + snapshot


def state_body(intent_id: str, state: OrderState, order_id: int | None, reason: str) -> bytes:
    """What a row of kind `order_state` holds."""
    return msgspec.json.encode([intent_id, state, order_id, reason])


def transaction_body(event: AccountEvent) -> bytes:
    """What a row of kind `transaction` holds."""
    return msgspec.json.encode(event)


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
