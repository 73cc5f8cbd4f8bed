"""OANDA's published limits: requests per second, streams, new connections per second."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable

from msgspec import Struct

from sepd.domain.time import NS_PER_S
from sepd.ports import Clock

_REMEMBERED = 4_096


class Limits(Struct, frozen=True):
    """What one client may do."""

    requests_per_s: int = 120
    streams: int = 20
    connections_per_s: int = 2


class Gate:
    """Counts requests and connections of the last second of `clock`'s monotonic time."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self.limits = limits
        self.refused = 0
        self._clock = clock
        self._requests: deque[int] = deque()
        self._connections: deque[int] = deque()
        self._known: OrderedDict[Hashable, None] = OrderedDict()

    def allows_request(self) -> bool:
        """Count a request; False beyond the limit."""
        return self._allows(self._requests, self.limits.requests_per_s)

    def allows_connection(self, peer: Hashable) -> bool:
        """Count the connection `peer` if it is new; False beyond the limit."""
        if peer in self._known:
            return True
        if not self._allows(self._connections, self.limits.connections_per_s):
            return False
        self._known[peer] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return True

    def allows_stream(self, open_streams: int) -> bool:
        """Whether one more stream may be opened."""
        if open_streams < self.limits.streams:
            return True
        self.refused += 1
        return False

    def _allows(self, seen: deque[int], most: int) -> bool:
        now_ns = self._clock.monotonic_ns()
        while seen and seen[0] <= now_ns - NS_PER_S:
            seen.popleft()
        if len(seen) >= most:
            self.refused += 1
            return False
        seen.append(now_ns)
        return True
