"""Scripted trouble: which requests and stream lines meet which fault. Pure and repeatable."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from sepd.domain.time import parse_time
from sepd.errors import ConfigError

RequestKind = Literal["delay", "drop", "reply", "later"]
StreamKind = Literal[
    "silence", "half_open", "cut", "truncate", "duplicate", "missing", "late", "garbage"
]
REQUEST_KINDS = ("delay", "drop", "reply", "later")
STANDING_KINDS = ("skew", "lag")


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """One trouble.

    `match` is a shell pattern on `METHOD path`. Of what matches, `after` pass unharmed, then
    `count` (0: all) are hit, each with probability `chance`. `from_time` and `to_time` narrow it
    to venue time (RFC 3339). `seconds` is the length of a delay, silence, skew or lag. `when` says
    whether a request is dropped, delayed or answered before or after it is applied.
    """

    kind: RequestKind | StreamKind | Literal["skew", "lag"]
    match: str = "*"
    after: int = 0
    count: int = 1
    chance: float = 1.0
    from_time: str = ""
    to_time: str = ""
    seconds: float = 0.0
    when: Literal["before", "after"] = "before"
    status: int = 503
    body: str = ""
    content_type: str = "text/html"

    def __post_init__(self) -> None:
        """Refuse figures that mean nothing."""
        if self.after < 0 or self.count < 0 or not 0 <= self.chance <= 1:
            raise ValueError("after and count start at 0, chance is within 0 … 1")
        if not 200 <= self.status <= 599:
            raise ValueError("status is within 200 … 599")
        for instant in (self.from_time, self.to_time):
            if instant:
                parse_time(instant)


class FaultScript(Struct, frozen=True, forbid_unknown_fields=True):
    """Faults in the order in which they are tried, and the seed of their chances."""

    fault: tuple[Fault, ...] = ()
    seed: int = 0


NO_FAULTS = FaultScript()


def load_faults(path: Path) -> FaultScript:
    """Read a script: `[[fault]]` tables in TOML, or the same in JSON.

    Raises:
        ConfigError: the file cannot be read, or an entry is wrong.
    """
    try:
        raw = path.read_bytes()
        if path.suffix == ".json":
            return msgspec.json.decode(raw, type=FaultScript, strict=False)
        return msgspec.toml.decode(raw, type=FaultScript, strict=False)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(f"{path}: {error}; see docs/venue.md.") from None


class FaultPlan:
    """A script being followed: how often each fault was met."""

    def __init__(self, script: FaultScript) -> None:
        self.script = script
        self.hits = [0] * len(script.fault)
        self._seen = [0] * len(script.fault)
        self._random = random.Random(script.seed)  # noqa: S311 - repeatable, not secret
        self._windows = [
            (
                parse_time(fault.from_time) if fault.from_time else None,
                parse_time(fault.to_time) if fault.to_time else None,
            )
            for fault in script.fault
        ]

    def request(self, call: str, now_ns: int) -> Fault | None:
        """The fault that hits the request `METHOD path` at venue time, if any."""
        return self._pick(call, now_ns, stream=False)

    def line(self, call: str, now_ns: int) -> Fault | None:
        """The fault that hits the next line of the stream `METHOD path`, if any."""
        return self._pick(call, now_ns, stream=True)

    def touches_lines(self, call: str) -> bool:
        """Whether any fault may ever hit a line of this stream."""
        return any(
            fault.kind not in REQUEST_KINDS + STANDING_KINDS and fnmatchcase(call, fault.match)
            for fault in self.script.fault
        )

    def standing_ns(self, kind: Literal["skew", "lag"], call: str, now_ns: int) -> int:
        """How far the clock that `call` sees is off, or how old the newest is that it shows."""
        return sum(
            int(fault.seconds * 1e9)
            for number, fault in enumerate(self.script.fault)
            if fault.kind == kind and fnmatchcase(call, fault.match) and self._in(number, now_ns)
        )

    def _pick(self, call: str, now_ns: int, stream: bool) -> Fault | None:
        for number, fault in enumerate(self.script.fault):
            of_requests = fault.kind in REQUEST_KINDS
            standing = fault.kind in STANDING_KINDS
            if standing or of_requests == stream or not self._in(number, now_ns):
                continue
            if fnmatchcase(call, fault.match) and self._strikes(number, fault):
                return fault
        return None

    def _strikes(self, number: int, fault: Fault) -> bool:
        self._seen[number] += 1
        if self._seen[number] <= fault.after:
            return False
        if fault.count and self.hits[number] >= fault.count:
            return False
        if fault.chance < 1 and self._random.random() >= fault.chance:
            return False
        self.hits[number] += 1
        return True

    def _in(self, number: int, now_ns: int) -> bool:
        begin, end = self._windows[number]
        return (begin is None or now_ns >= begin) and (end is None or now_ns < end)
