"""Order intents, their states and the kill switch, committed with an audit row each.

Each is one statement, so one round trip, and no lock is held while the server waits for us. Locks
are taken in one order everywhere, the head of the audit chain last: leader, orders, account,
audit head.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import asyncpg
from msgspec.structs import astuple

from sepd.domain.order import OrderIntent, OrderState, Purpose
from sepd.domain.signal import Signal
from sepd.errors import InvariantViolated, TransientError
from sepd.ports import Clock
from sepd.storage.audit import intent_body, state_body
from sepd.storage.fencing import Fenced
from sepd.storage.link import Link
from sepd.storage.queries import QUERIES
from sepd.storage.rows import signal_body

_NOTHING = OrderIntent("", "", "", Purpose.ENTRY, "", Decimal(0), 0, 0, 0)
_NO_EPOCH = -1
_REHEARSAL_S = 0.1


class OrderTables:
    """Writes orders over one connection, under the fencing `epoch` of our leadership.

    Args:
        clock: time of audit rows.
    """

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self.epoch = 0

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        """Commit intent, signal, risk snapshot and audit entry in one transaction.

        When the answer to the commit is lost, the row itself is asked; a second attempt is made
        only if it is not there.

        Raises:
            InvariantViolated: an intent of this id exists already.
        """
        parameters = (
            *astuple(intent),  # the columns are in the order of the fields
            snapshot,
            signal_body(signal),
            self.epoch,
            intent_body(intent, b""),  # the server appends the snapshot
        )
        try:
            async with self._link as connection:
                await self._insert_intent(connection, parameters, intent.id)
        except TransientError:
            async with self._link as connection:
                if not await self._has_intent(connection, intent.id, snapshot):
                    await self._insert_again(connection, parameters, intent.id, snapshot)

    async def rehearse(self) -> None:
        """Have the server begin a commit of no account and no epoch, for which it writes nothing:
        the next one finds its caches warm.
        """
        if not self._link.in_use:
            parameters = *astuple(_NOTHING), b"", b"", _NO_EPOCH, b""
            async with self._link as connection:
                await connection.execute(
                    QUERIES["commit_intent"], *parameters, timeout=_REHEARSAL_S
                )

    async def _insert_intent(
        self, connection: asyncpg.Connection, parameters: Sequence[object], intent_id: str
    ) -> None:
        try:
            written = await connection.execute(QUERIES["commit_intent"], *parameters)
        except asyncpg.UniqueViolationError:
            raise InvariantViolated(f"An order intent {intent_id} exists already.") from None
        if written != "INSERT 0 1":
            raise Fenced(self.epoch)

    async def _insert_again(
        self,
        connection: asyncpg.Connection,
        parameters: Sequence[object],
        intent_id: str,
        snapshot: bytes,
    ) -> None:
        try:
            await self._insert_intent(connection, parameters, intent_id)
        except InvariantViolated:  # the first attempt was still on its way
            if not await self._has_intent(connection, intent_id, snapshot):
                raise

    async def _has_intent(
        self, connection: asyncpg.Connection, intent_id: str, snapshot: bytes
    ) -> bool:
        return bool(await connection.fetchval(QUERIES["intent_exists"], intent_id, snapshot))

    async def record_order_state(
        self, intent_id: str, state: OrderState, order_id: int | None, reason: str
    ) -> None:
        """Commit a transition of one order. A settled order stays as it is (FILLED may close)."""
        body = state_body(intent_id, state, order_id, reason)
        async with self._link as connection:
            epoch = await connection.fetchval(
                QUERIES["record_order_state"],
                intent_id,
                state.value,
                order_id,
                reason,
                self._clock.now_ns(),
                self.epoch,
                body,
            )
        if epoch is None:
            raise InvariantViolated(f"There is no order intent {intent_id}.")
        if epoch != self.epoch:
            raise Fenced(self.epoch)

    async def record_kill(self, account_id: str, reason: str) -> None:
        """Latch the kill switch with `reason`; an empty reason releases it."""
        async with self._link as connection:
            epoch = await connection.fetchval(
                QUERIES["record_kill"],
                account_id,
                reason,
                self._clock.now_ns(),
                self.epoch,
                reason.encode(),
            )
        if epoch != self.epoch:
            raise Fenced(self.epoch)
