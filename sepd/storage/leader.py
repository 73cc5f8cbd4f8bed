"""One sender per account: a PostgreSQL session advisory lock and a fencing epoch.

The lock lives as long as its connection, so a dead leader frees it at once, and one that hangs
frees it when the server ends its idle session. Every leadership has a greater epoch, which every
write of the store carries; the database refuses those of a leader that has been followed.
"""

from __future__ import annotations

import asyncio

import asyncpg
import structlog

from sepd.domain.order import OrderIntent
from sepd.errors import InvariantViolated, TransientError
from sepd.ports import Clock
from sepd.storage.faults import database_errors
from sepd.storage.link import connect
from sepd.storage.queries import QUERIES

log = structlog.get_logger(__name__)

NS_PER_S = 1_000_000_000
_FRESH_NS = NS_PER_S // 2
_CHECK_S = 0.15
_STANDBY_S = 0.5
_IDLE_MS = 3_000


class LeaderLock:
    """The right to send orders of `account_id`.

    Args:
        timer: monotonic time, to judge how old the last check is.
        takeover_s: pause between another's leadership and ours, longer than a broker request of
            the other may last.
        timeout_s: deadline of connecting and of each check.
    """

    def __init__(
        self, url: str, account_id: str, timer: Clock, *, takeover_s: float, timeout_s: float = 1.0
    ) -> None:
        self._url = url
        self._account_id = account_id
        self._timer = timer
        self._takeover_s = takeover_s
        self._timeout_s = timeout_s
        self._connection: asyncpg.Connection | None = None
        self._checked_ns: int | None = None
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """Epoch of our leadership; 0 while we do not lead."""
        return self._epoch

    def fence(self, _: OrderIntent) -> str:
        """Why nothing may be sent now; empty while the lock was ours at most half a second ago."""
        if self._checked_ns is None:
            return "not_leader"
        age_ns = self._timer.monotonic_ns() - self._checked_ns
        return "leader_unconfirmed" if age_ns > _FRESH_NS else ""

    async def acquire(self) -> int:
        """Stand by until the lock is ours; returns the new epoch.

        Raises:
            TransientError: the database is away.
        """
        await self.release()
        waited = False
        with database_errors(self._url):
            connection = self._connection = await connect(self._url, self._timeout_s)
            await connection.execute(f"SET idle_session_timeout = {_IDLE_MS}")
            while not await connection.fetchval(QUERIES["try_lead"], self._account_id):
                if not waited:
                    log.info("standing_by", account=self._account_id)
                waited = True
                await asyncio.sleep(_STANDBY_S)
        if waited:
            await self._pause(connection)
        with database_errors(self._url):
            self._epoch = await connection.fetchval(QUERIES["take_epoch"], self._account_id)
        await self._check(connection)
        log.info("leading", account=self._account_id, epoch=self._epoch)
        return self._epoch

    async def run(self) -> None:
        """Check the lock again and again until it is lost.

        Raises:
            TransientError: the lock's session is gone; `fence` forbids sending from then on.
            InvariantViolated: another leads although our session lives.
        """
        if self._connection is None:
            raise TransientError("The leader lock is not held.")
        try:
            while True:
                await asyncio.sleep(_CHECK_S)
                await self._check(self._connection)
        except (TransientError, InvariantViolated) as error:
            log.error("lead_lost", account=self._account_id, reason=str(error))
            raise
        finally:
            await self.release()

    async def release(self) -> None:
        """Give the lock back; may be called twice."""
        self._checked_ns = None
        self._epoch = 0
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _check(self, connection: asyncpg.Connection) -> None:
        asked_ns = self._timer.monotonic_ns()  # the answer is at least as old as the question
        with database_errors(self._url):
            epoch = await connection.fetchval(QUERIES["epoch"], self._account_id)
        if epoch != self._epoch:
            raise InvariantViolated(
                f"Account {self._account_id} has another leader: epoch {epoch}, ours is "
                f"{self._epoch}. This sepd sends nothing any more."
            )
        self._checked_ns = asked_ns

    async def _pause(self, connection: asyncpg.Connection) -> None:
        """Let requests of the former leader run out, keeping our session alive meanwhile."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._takeover_s
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(left, _STANDBY_S))
            with database_errors(self._url):
                await connection.fetchval(QUERIES["epoch"], self._account_id)
