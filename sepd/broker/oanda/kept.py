"""Connections that are open before an order needs one.

An order over a kept connection leaves at once; over a new one after look-up, TCP and TLS, and
new ones are made at two a second. Both sides close a connection that is not used.
"""

from __future__ import annotations

import asyncio

import structlog

from sepd.broker.oanda.rest import KEPT_S, Rest
from sepd.errors import TransientError
from sepd.supervise import being_cancelled

log = structlog.get_logger(__name__)

EVERY_S = KEPT_S * 2 / 3
_PATH = "/v3/accounts"  # the shortest answer there is


async def stay_connected(rest: Rest, count: int) -> None:
    """Keep `count` connections free for orders, and one more to ask over, until cancelled.

    A fault is logged when it begins and when it has ended; the next round tries again.
    """
    failing = False
    while True:
        fault = await _round(rest, count + 1)
        if fault and not failing:
            log.warning("not_connected", error=fault)
        elif failing and not fault:
            log.info("connected_again")
        failing = bool(fault)
        await asyncio.sleep(EVERY_S)


async def _round(rest: Rest, count: int) -> str:
    """Use `count` kept connections, one at a time, then open those that are missing; the fault."""
    fault = ""
    for _ in range(min(rest.kept, count)):
        fault = await _use(rest, fresh=False) or fault
    for _ in range(count - rest.kept):
        if lost := await _use(rest, fresh=True):
            return lost
    return fault


async def _use(rest: Rest, *, fresh: bool) -> str:
    """Ask over the connection that was used longest ago, or over a new one; what went wrong."""
    try:
        await rest.touch(_PATH, fresh=fresh)
    except TransientError as error:
        if being_cancelled():
            raise asyncio.CancelledError from error
        return str(error)
    return ""
