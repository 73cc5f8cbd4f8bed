"""What must be true before an order is sent: it is durable, valid, and ours to send."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from msgspec import Struct

from sepd.domain.order import OrderIntent, Purpose
from sepd.domain.signal import Signal
from sepd.errors import InvariantViolated, TransientError
from sepd.execution.exits import ExitFile, ExitRecord
from sepd.execution.failpoints import failpoint
from sepd.execution.machine import Cleared, Committed, Fenced, NotCommitted
from sepd.ports import Clock, Store

log = structlog.get_logger(__name__)


class Job(Struct, frozen=True, gc=False):
    """An intent with what is committed beside it.

    `until_ns` is the monotonic time of its expiry, which no step of the clock puts off.
    """

    intent: OrderIntent
    signal: Signal
    snapshot: bytes
    until_ns: int


def job_of(intent: OrderIntent, signal: Signal, snapshot: bytes, clock: Clock) -> Job:
    """A job whose intent is taken over at this instant."""
    until_ns = clock.monotonic_ns() + intent.expires_ns - clock.now_ns()
    return Job(intent, signal, snapshot, until_ns)


async def make_durable(store: Store, exits: ExitFile | None, job: Job) -> Committed | NotCommitted:
    """Commit the intent; while the database is away an exit is kept in the file instead."""
    failpoint("commit.before")
    try:
        await store.commit_intent(job.intent, job.signal, job.snapshot)
    except InvariantViolated as error:
        failpoint("commit.duplicate")
        log.error("intent_not_committed", intent=job.intent.id, reason=str(error))
        return NotCommitted("duplicate_intent")
    except TransientError as error:
        failpoint("commit.failed")
        log.error("intent_not_committed", intent=job.intent.id, reason=str(error))
        return _keep(exits, job)
    failpoint("commit.after")
    return Committed()


def verify(
    job: Job, clock: Clock, killed: str, fence: Callable[[OrderIntent], str]
) -> Cleared | Fenced:
    """Whether the intent may still be sent. Entries expire and are killed; exits are not.

    Args:
        fence: says why this process may not send, or an empty text.
    """
    failpoint("verify.before")
    intent, entry = job.intent, job.intent.purpose is Purpose.ENTRY
    late = clock.now_ns() >= intent.expires_ns or clock.monotonic_ns() >= job.until_ns
    if entry and late:
        reason = "expired"
    elif entry and killed:
        reason = "killed"
    else:
        reason = fence(intent)
    if reason:
        failpoint("verify.fenced")
        return Fenced(reason)
    failpoint("verify.after")
    return Cleared()


def _keep(exits: ExitFile | None, job: Job) -> Committed | NotCommitted:
    if exits is not None and job.intent.purpose is Purpose.EXIT:
        try:
            exits.append(ExitRecord(job.intent, job.signal, job.snapshot.decode()))
        except OSError as error:
            log.error("exit_not_kept", intent=job.intent.id, reason=str(error))
        else:
            failpoint("commit.kept")
            return Committed(stored=False)
    return NotCommitted("store_unavailable", again=True)
