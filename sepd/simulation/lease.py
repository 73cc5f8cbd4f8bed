"""The leader lock as one process sees it: a session that may die, and an epoch that only grows.

The real lock asks the database every 150 ms whether its session lives; asking so often would
cost a simulation most of its time. Here the session itself says at once when it is over, which
is what the next question would have found.
"""

from __future__ import annotations

import asyncio

from sepd.domain.order import OrderIntent
from sepd.errors import TransientError
from sepd.simulation.crash import Crashed

TAKEOVER_S = 11.0
STANDBY_S = 0.5
NOTICE_S = 0.15
IDLE_S = 3.0


class Session:
    """A connection to the database that may hold the lock.

    Attributes:
        owner: the process it belongs to.
        lost: set when the server has ended it.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.lost = asyncio.Event()


class Lock:
    """The account's row in the database: who holds the lock, and the newest epoch.

    Attributes:
        leader: the process that was the last to begin an epoch.
        away_until_s: nobody reaches the database before this loop time.
    """

    def __init__(self) -> None:
        self.holder: Session | None = None
        self.epoch = 0
        self.leader = ""
        self.away_until_s = 0.0

    def end(self, owner: str) -> None:
        """The server ends every session of `owner`."""
        if self.holder is not None and self.holder.owner == owner:
            self.holder.lost.set()
            self.holder = None


class Lease:
    """One process's claim; implements `sepd.ports.Leader`."""

    def __init__(self, lock: Lock, owner: str) -> None:
        self.dead = False
        self._lock = lock
        self._owner = owner
        self._session: Session | None = None
        self._leads = False
        self._loop = asyncio.get_running_loop()

    def fence(self, _: OrderIntent) -> str:
        """Why nothing may be sent now."""
        if self._session is None or not self._leads:
            return "not_leader"
        return "leader_unconfirmed" if self._session.lost.is_set() else ""

    async def acquire(self) -> int:
        """Stand by until the lock is ours; returns the new epoch.

        Raises:
            TransientError: the database is away.
        """
        await self.release()
        waited = False
        session = self._session = Session(self._owner)
        while not self._take(session):
            waited = True
            await asyncio.sleep(STANDBY_S)
        if waited:
            await asyncio.sleep(TAKEOVER_S)
        if session.lost.is_set():
            raise TransientError("The database ended the session while we stood by.")
        self._lock.epoch += 1
        self._lock.leader = self._owner
        self._leads = True
        return self._lock.epoch

    async def run(self) -> None:
        """Return never; raise when the session is lost.

        Raises:
            TransientError: the database has ended our session.
        """
        if self._session is None or not self._leads:
            raise TransientError("The leader lock is not held.")
        await self._session.lost.wait()
        await asyncio.sleep(NOTICE_S)
        raise TransientError("The database has ended the session of the leader lock.")

    async def release(self) -> None:
        """Give the lock back."""
        session, self._session, self._leads = self._session, None, False
        if session is not None and self._lock.holder is session:
            self._lock.holder = None

    def _take(self, session: Session) -> bool:
        if self.dead:
            raise Crashed("the process has ended")
        if self._loop.time() < self._lock.away_until_s:
            raise TransientError("The database does not answer.")
        if self._lock.holder is not None:
            return False
        self._lock.holder = session
        return True
