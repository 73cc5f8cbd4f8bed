"""What travels on the queue."""

from __future__ import annotations

from msgspec import Struct

from sepd.domain.account import AccountEvent, TransactionHeartbeat
from sepd.domain.market import Candle, Gap, Heartbeat, Quote

Payload = Quote | Candle | Heartbeat | Gap | AccountEvent | TransactionHeartbeat


class MarketEvent(Struct, frozen=True, gc=False):
    """One input of the consumer.

    `sequence` counts from 1 in the order in which the queue accepted the events;
    `received_ns` is monotonic time of arrival.
    """

    sequence: int
    received_ns: int
    payload: Payload
