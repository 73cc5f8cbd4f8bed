"""How far the broker's clock is from ours. Pure."""

from __future__ import annotations

from collections import deque

from sepd.domain.time import NS_PER_S

_STEP_NS = NS_PER_S // 2


class ClockOffset:
    """Broker time minus local UTC, from the instants at which broker times arrive.

    A message arrives later than it was sent, never earlier, so of the newest `window` samples
    the largest is nearest to the truth. When the local UTC clock is stepped against the
    monotonic one, the samples before the step are forgotten.
    """

    def __init__(self, window: int = 8) -> None:
        self._samples: deque[int] = deque(maxlen=window)
        self._base_ns: int | None = None

    @property
    def offset_ns(self) -> int | None:
        """Broker − local, ns; None before the first sample."""
        return max(self._samples) if self._samples else None

    def observe(self, broker_ns: int, now_ns: int, monotonic_ns: int) -> None:
        """A message that the broker stamped `broker_ns` arrived at `now_ns`."""
        base_ns = now_ns - monotonic_ns
        if self._base_ns is None or abs(base_ns - self._base_ns) > _STEP_NS:
            self._samples.clear()
            self._base_ns = base_ns
        self._samples.append(broker_ns - now_ns)
