"""Which faults a seed meets, and when. Pure: `draw(seed, minutes)` always gives the same plan."""

from __future__ import annotations

import random
from enum import StrEnum

from msgspec import Struct, structs

from sepd.domain.time import format_time
from sepd.execution.failpoints import NAMES
from sepd.venue.faults import Fault as VenueFault
from sepd.venue.faults import FaultScript

FEWEST, MOST = 12, 18
PATIENCE_S = 150.0
_RECOVERY = tuple(name for name in NAMES if name.startswith("recover."))

CUT_OFF = "cut off"
_BEFORE_SENDING = ("submit.after_enqueue", "work.dequeued", "commit.before")


class Kind(StrEnum):
    """The faults; numbers are those of the catalogue in docs/reliability.md."""

    LOST_REPLY = "lost_reply"
    LOST_REQUEST = "lost_request"
    DELAYED_APPLY = "delayed_apply"
    SLOW_APPLY = "slow_apply"
    SLOW_REPLY = "slow_reply"
    TOO_MANY_REQUESTS = "too_many_requests"
    GATEWAY_ERROR = "gateway_error"
    GATEWAY_AFTER_APPLY = "gateway_after_apply"
    HTML_AFTER_APPLY = "html_after_apply"
    HALF_JSON_AFTER_APPLY = "half_json_after_apply"
    UNAUTHORIZED = "unauthorized"
    STREAM_SILENT = "stream_silent"
    STREAM_HALF_OPEN = "stream_half_open"
    STREAM_CUT = "stream_cut"
    LINE_TRUNCATED = "line_truncated"
    LINE_GARBAGE = "line_garbage"
    LINE_TWICE = "line_twice"
    LINE_MISSING = "line_missing"
    LINE_LATE = "line_late"
    HISTORY_LAGS = "history_lags"
    REFUSED = "connections_refused"
    RESET = "connections_reset"
    BLACK_HOLE = "black_hole"
    STALL = "network_stall"
    CRASH = "crash"
    MACHINE_LOST = "machine_lost"
    CRASH_AT_FAILPOINT = "crash_at_failpoint"
    CRASH_IN_RECOVERY = "crash_in_recovery"
    TERMINATED = "terminated"
    PAUSED = "paused"
    PAUSED_AT_FAILPOINT = "paused_at_failpoint"
    STORE_AWAY = "store_away"
    STORE_SLOW = "store_slow"
    STORE_QUEUE_FULL = "store_queue_full"
    COMMIT_UNKNOWN = "commit_unknown"
    CACHE_GONE = "cache_gone"
    CLOCK_OFF = "clock_off"
    KILL_SWITCH = "kill_switch"
    SECOND_DAEMON = "second_daemon"


class Fault(Struct, frozen=True):
    """One fault from `at_s` on. `seconds` is its length or its lag, `detail` what it hits."""

    kind: Kind
    at_s: float
    seconds: float = 0.0
    detail: str = ""

    def __str__(self) -> str:
        detail = f" {self.detail}" if self.detail else ""
        return f"{self.kind} at {self.at_s:.1f} s, {self.seconds:.1f} s{detail}"


LENGTHS: dict[Kind, tuple[float, float]] = {
    Kind.DELAYED_APPLY: (0.5, 14.0),
    Kind.SLOW_APPLY: (2.0, 22.0),
    Kind.SLOW_REPLY: (1.0, 15.0),
    Kind.STREAM_SILENT: (5.5, 30.0),
    Kind.LINE_LATE: (2.0, 20.0),
    Kind.HISTORY_LAGS: (0.3, 8.0),
    Kind.REFUSED: (1.0, 60.0),
    Kind.BLACK_HOLE: (1.0, 40.0),
    Kind.STALL: (0.5, 12.0),
    Kind.PAUSED: (2.0, 45.0),
    Kind.PAUSED_AT_FAILPOINT: (2.0, 45.0),
    Kind.STORE_AWAY: (0.5, 45.0),
    Kind.STORE_SLOW: (5.0, 60.0),
    Kind.STORE_QUEUE_FULL: (5.0, 60.0),
    Kind.CACHE_GONE: (5.0, 60.0),
    Kind.CLOCK_OFF: (10.0, 60.0),
    Kind.KILL_SWITCH: (60.0, 300.0),
    Kind.SECOND_DAEMON: (60.0, 600.0),
    Kind.CRASH: (0.2, 8.0),
    Kind.MACHINE_LOST: (1.0, 30.0),
    Kind.CRASH_AT_FAILPOINT: (0.2, 8.0),
    Kind.CRASH_IN_RECOVERY: (0.2, 4.0),
    Kind.TERMINATED: (0.2, 8.0),
}
WEIGHTS = dict.fromkeys(Kind, 1) | {
    Kind.CRASH_AT_FAILPOINT: 6,
    Kind.LOST_REPLY: 3,
    Kind.DELAYED_APPLY: 2,
    Kind.SLOW_APPLY: 2,
    Kind.CRASH: 2,
    Kind.PAUSED_AT_FAILPOINT: 2,
    Kind.SECOND_DAEMON: 2,
}
SCRIPTED: dict[Kind, VenueFault] = {
    Kind.LOST_REPLY: VenueFault("drop", "P* /v3/accounts/*", when="after"),
    Kind.LOST_REQUEST: VenueFault("drop", "P* /v3/accounts/*"),
    Kind.DELAYED_APPLY: VenueFault("later", "P* /v3/accounts/*", status=504),
    Kind.SLOW_APPLY: VenueFault("delay", "P* /v3/accounts/*"),
    Kind.SLOW_REPLY: VenueFault("delay", "* /v3/accounts/*", when="after"),
    Kind.TOO_MANY_REQUESTS: VenueFault("reply", "*", count=3, status=429),
    Kind.GATEWAY_ERROR: VenueFault("reply", "*", count=3, status=502, body="<html>Bad</html>"),
    Kind.GATEWAY_AFTER_APPLY: VenueFault("reply", "P* /v3/accounts/*", status=504, when="after"),
    Kind.HTML_AFTER_APPLY: VenueFault(
        "reply", "P* /v3/accounts/*", status=200, when="after", body="<html>Hello</html>"
    ),
    Kind.HALF_JSON_AFTER_APPLY: VenueFault(
        "reply",
        "P* /v3/accounts/*",
        status=201,
        when="after",
        body='{"orderCreateTransaction":{"id":"7","ty',
        content_type="application/json",
    ),
    Kind.UNAUTHORIZED: VenueFault("reply", "* /v3/accounts/*", status=401),
    Kind.STREAM_SILENT: VenueFault("silence", "*stream"),
    Kind.STREAM_HALF_OPEN: VenueFault("half_open", "*stream"),
    Kind.STREAM_CUT: VenueFault("cut", "*stream"),
    Kind.LINE_TRUNCATED: VenueFault("truncate", "*stream"),
    Kind.LINE_GARBAGE: VenueFault("garbage", "*stream"),
    Kind.LINE_TWICE: VenueFault("duplicate", "*stream", count=8),
    Kind.LINE_MISSING: VenueFault("missing", "*transactions/stream", count=2),
    Kind.LINE_LATE: VenueFault("late", "*transactions/stream", count=2),
}


def draw(seed: int, length_s: float) -> tuple[Fault, ...]:
    """The faults of a run of `length_s`, in the order of their time."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    kinds = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=rng.randint(FEWEST, MOST))
    faults = [_one(kind, rng, length_s) for kind in kinds]
    return tuple(sorted(faults, key=lambda fault: fault.at_s))


def _one(kind: Kind, rng: random.Random, length_s: float) -> Fault:
    at_s = round(rng.uniform(5.0, length_s - 5.0), 3)
    low, high = LENGTHS.get(kind, (0.0, 0.0))
    detail = ""
    if kind is Kind.CRASH_AT_FAILPOINT:
        detail = rng.choice(NAMES)
    elif kind is Kind.TERMINATED:
        detail = rng.choice(("", CUT_OFF))
    elif kind is Kind.PAUSED_AT_FAILPOINT:
        detail = rng.choice(_BEFORE_SENDING)
    elif kind is Kind.CRASH_IN_RECOVERY:
        detail = rng.choice(_RECOVERY)
    elif kind is Kind.CLOCK_OFF:
        detail = f"{rng.choice((-60.0, -8.0, -3.0, 3.0, 8.0, 60.0, 3_600.0))}"
    elif kind is Kind.COMMIT_UNKNOWN:
        detail = str(rng.randint(1, 3))
    elif kind is Kind.STORE_AWAY:
        detail = rng.choice(("writes", "sessions"))
    elif kind is Kind.HISTORY_LAGS:
        detail = rng.choice(("newest", "between"))
    return Fault(kind, at_s, round(rng.uniform(low, high), 3), detail)


def script(faults: tuple[Fault, ...], origin_ns: int, length_s: float) -> FaultScript:
    """Those of `faults` that the venue makes itself, in its own words, in the same order."""
    chosen = scripted(faults)
    return FaultScript(tuple(_scripted(fault, origin_ns, length_s) for fault in chosen))


def scripted(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """Those of `faults` that the venue makes itself."""
    return tuple(fault for fault in faults if fault.kind in SCRIPTED)


def _scripted(fault: Fault, origin_ns: int, length_s: float) -> VenueFault:
    """A fault that waits for something to hit ends after `PATIENCE_S`, and with the run."""
    end_s = min(fault.at_s + PATIENCE_S, length_s)
    return structs.replace(
        SCRIPTED[fault.kind],
        from_time=format_time(origin_ns + round(fault.at_s * 1e9)),
        to_time=format_time(origin_ns + round(end_s * 1e9)),
        seconds=fault.seconds,
    )
