"""What became of an order: from OANDA's answer to one of the four outcomes. Pure.

A definite answer is one that OANDA itself composed. Everything else (a gateway's page, a body
cut short, a status that says nothing) leaves the outcome ambiguous.
"""

from __future__ import annotations

import msgspec

from sepd.broker.oanda import translate, wire
from sepd.domain.account import AccountEvent
from sepd.domain.order import Ambiguous, Done, Outcome, Refused, Unsent
from sepd.errors import InputError

_REPLY = wire.decoder(wire.OrderReply)
_AUTHORISATION = {401: "UNAUTHORIZED", 403: "FORBIDDEN"}


def outcome(status: int, body: bytes, instruments: translate.Instruments) -> Outcome:
    """Outcome of an order request that was answered with `status` and `body`."""
    if status == 429:
        return Unsent("The broker asks for fewer requests (429).")
    if status in _AUTHORISATION:
        return Refused(_AUTHORISATION[status], f"The broker refused the token ({status}).")
    if status >= 500 or status < 200 or status == 408:
        return Ambiguous(f"The broker or a gateway before it answered {status}.")
    try:
        reply = _REPLY.decode(body)
        events = _events(reply, instruments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InputError) as error:
        return Ambiguous(f"The answer {status} could not be understood: {error}")
    if status < 300:
        if not events or reply.last_transaction_id <= 0:
            return Ambiguous(f"The answer {status} names no transaction.")
        return Done(events, max(reply.last_transaction_id, events[-1].transaction_id))
    return _refused(status, reply, events)


def _refused(
    status: int, reply: wire.OrderReply, events: tuple[AccountEvent, ...]
) -> Refused | Ambiguous:
    rejection = reply.order_reject_transaction or reply.order_cancel_reject_transaction
    reason = (rejection.reject_reason if rejection else "") or reply.error_code
    if status < 400 or not (reason or reply.error_message):
        return Ambiguous(f"The answer {status} says neither yes nor no.")
    reason = reason or f"HTTP_{status}"
    return Refused(reason, reply.error_message or f"The broker refused: {reason}.", events)


def _events(reply: wire.OrderReply, instruments: translate.Instruments) -> tuple[AccountEvent, ...]:
    rows = (
        reply.order_create_transaction,
        reply.order_fill_transaction,
        reply.order_cancel_transaction,
        reply.order_reissue_transaction,
        reply.order_reject_transaction,
        reply.order_cancel_reject_transaction,
    )
    events = [translate.account_event(row, instruments) for row in rows if row is not None]
    return tuple(sorted(events, key=lambda event: event.transaction_id))
