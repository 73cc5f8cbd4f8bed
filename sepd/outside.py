"""What a node works with that is not its own: services, clocks, and the venue's pace."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sepd.domain.market import Instrument
from sepd.execution.exits import ExitFile
from sepd.ports import Broker, Cache, Clock, Leader, Store


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Given to a node by whoever opens and closes it.

    Attributes:
        clock: time of decisions; stands at the newest broker time where a tape is played.
        timer: real time, for latencies and uptime only.
        rng: jitter of retries.
        instruments: filled with what the broker trades, for the store to know.
        paced: the venue waits for us, so nothing may depend on speed.
        skew_ns: broker time minus local time, as last measured.
        leader: the right to send; None where nobody else can (a demo's own venue).
        exits: keeps exits while the store is away.
    """

    broker: Broker
    store: Store
    cache: Cache
    clock: Clock
    timer: Clock
    rng: random.Random
    instruments: dict[str, Instrument] = field(default_factory=dict)
    paced: bool = False
    skew_ns: Callable[[], int] = lambda: 0
    leader: Leader | None = None
    exits: ExitFile | None = None
