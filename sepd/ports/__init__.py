"""Protocols between the daemon and the outside: what a broker, a store, a cache and a clock do.

The daemon names concrete classes in one file only, `sepd.daemon`.
"""

from sepd.ports.broker import Broker, PriceBatch
from sepd.ports.cache import Cache
from sepd.ports.clock import Clock
from sepd.ports.events import Events
from sepd.ports.leader import Leader
from sepd.ports.store import Store
from sepd.ports.stored import (
    DayLedger,
    JournalRecord,
    Recent,
    RecentFill,
    StoredOrder,
    StoredPosition,
    StoredState,
    StoredTotals,
)

__all__ = [
    "Broker",
    "Cache",
    "Clock",
    "DayLedger",
    "Events",
    "JournalRecord",
    "Leader",
    "PriceBatch",
    "Recent",
    "RecentFill",
    "Store",
    "StoredOrder",
    "StoredPosition",
    "StoredState",
    "StoredTotals",
]
