"""How old the newest price is, by instrument."""

from __future__ import annotations

from collections.abc import Iterable

from sepd.domain.market import Heartbeat, Quote
from sepd.domain.time import NS_PER_S
from sepd.ports import Clock


class Staleness:
    """Arrival of the newest quote of each instrument and of anything on the price stream.

    An instrument is stale while the stream is silent, before its first quote, and from an
    interruption until its missed prices are repaired. A quiet market is not stale: OANDA sends
    a price only when it changes, and heartbeats meanwhile.

    Args:
        silence_s: a stream that has been silent for so long is dead.
    """

    def __init__(self, clock: Clock, instruments: Iterable[str], silence_s: float = 10.0) -> None:
        self._clock = clock
        self._silence_ns = int(silence_s * NS_PER_S)
        self._heard_ns: int | None = None
        self._arrived_ns: dict[str, int | None] = dict.fromkeys(instruments)
        self._quoted_ns: dict[str, int] = {}
        self._live: set[str] = set()

    def heard(self) -> None:
        """The stream brought something."""
        self._heard_ns = self._clock.monotonic_ns()

    def quoted(self, items: Iterable[Quote | Heartbeat]) -> None:
        """What was put on the queue, oldest first; what can be put has been repaired."""
        now_ns = self._clock.monotonic_ns()
        newest = {item.instrument: item for item in items if isinstance(item, Quote)}
        for instrument, quote in newest.items():
            self._arrived_ns[instrument] = now_ns
            self._quoted_ns[instrument] = quote.time_ns
        self._live.update(newest)

    def interrupted(self) -> None:
        """The stream broke: every instrument may have missed prices."""
        self._heard_ns = None
        self._live.clear()

    def stale(self, instrument: str) -> bool:
        """Whether entries in `instrument` must wait."""
        if self._heard_ns is None or instrument not in self._live:
            return True
        return self._clock.monotonic_ns() - self._heard_ns > self._silence_ns

    def last_quote_ns(self, instrument: str) -> int | None:
        """Broker time of the newest quote, ns."""
        return self._quoted_ns.get(instrument)

    def last_event_age_ms(self, instrument: str) -> float | None:
        """Time since the newest quote arrived, ms; None before the first."""
        arrived_ns = self._arrived_ns.get(instrument)
        return None if arrived_ns is None else (self._clock.monotonic_ns() - arrived_ns) / 1e6
