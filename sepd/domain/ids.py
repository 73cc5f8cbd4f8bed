"""Identifiers derived from what they name, so that the same decision has the same id."""

from __future__ import annotations

import hashlib
from functools import lru_cache

OURS = "sepd-"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TWO = [high + low for high in _CROCKFORD for low in _CROCKFORD]  # ten bits at a time


def ulid(time_ns: int, *parts: object) -> str:
    """A ULID whose 48-bit time is `time_ns` in ms and whose 80 bits are a hash of `parts`."""
    number = (time_ns // 1_000_000 & (1 << 48) - 1) << 80 | _hash(parts)
    return "".join([_TWO[number >> shift & 1023] for shift in range(120, -1, -10)])


@lru_cache(maxsize=1_024)  # what signals are hashed from comes back at every candle
def _hash(parts: tuple[object, ...]) -> int:
    """80 bits of SHA-256."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:10])


def client_order_id(account_id: str, signal_id: str, leg: str, attempt: int) -> str:
    """Client order id of one attempt at one leg of a signal: 27 characters."""
    text = "\x1f".join((account_id, signal_id, leg, str(attempt)))
    return OURS + hashlib.sha256(text.encode()).hexdigest()[:22]
