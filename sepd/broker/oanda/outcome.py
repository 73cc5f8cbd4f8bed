"""What became of a write: from OANDA's answer to one of the four outcomes. Pure.

A definite answer is one that OANDA itself composed. Everything else (a gateway's page, a body
cut short, a status that says nothing) leaves the outcome ambiguous. Every call names its
transactions differently (`orderFillTransaction`, `longOrderCreateTransaction` …), and all end
alike.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sepd.broker.oanda import translate, wire
from sepd.broker.oanda.stream import UNREADABLE
from sepd.domain.order import Ambiguous, Done, Outcome, Refused, Unsent
from sepd.errors import InputError

_REPLY = wire.decoder(dict[str, msgspec.Raw])
_ROW = wire.decoder(wire.Transaction)
_ENDING = wire.decoder(wire.ReplyEnding)
_AUTHORISATION = {401: "UNAUTHORIZED", 403: "FORBIDDEN"}


def outcome(status: int, body: bytes, instruments: translate.Instruments) -> Outcome:
    """Outcome of a write that was answered with `status` and `body`."""
    if status == 429:
        return Unsent("The broker asks for fewer requests (429).")
    if status in _AUTHORISATION:
        return Refused(_AUTHORISATION[status], f"The broker refused the token ({status}).")
    if status >= 500 or status < 200 or status == 408:
        return Ambiguous(f"The broker or a gateway before it answered {status}.")
    try:
        ending = _ENDING.decode(body)
        rows = _rows(body)
        events = [translate.account_event(row, instruments) for row in rows.values()]
    except (*UNREADABLE, InputError) as error:
        return Ambiguous(f"The answer {status} could not be understood: {error}")
    events.sort(key=lambda event: event.transaction_id)
    if status < 300:
        if not events or ending.last_transaction_id <= 0:
            return Ambiguous(f"The answer {status} names no transaction.")
        newest = max(ending.last_transaction_id, events[-1].transaction_id)
        return Done(tuple(events), newest)
    reason = _reject_reason(rows) or ending.error_code
    if status < 400 or not (reason or ending.error_message):
        return Ambiguous(f"The answer {status} says neither yes nor no.")
    reason = reason or f"HTTP_{status}"
    message = ending.error_message or f"The broker refused: {reason}."
    return Refused(reason, message, tuple(events))


def _rows(body: bytes) -> dict[str, wire.Transaction]:
    """The transactions of an answer, by their name in it."""
    return {
        name: _ROW.decode(raw)
        for name, raw in _REPLY.decode(body).items()
        if name.endswith("Transaction")
    }


def _reject_reason(rows: Mapping[str, wire.Transaction]) -> str:
    reasons = (row.reject_reason for name, row in rows.items() if "Reject" in name)
    return next((reason for reason in reasons if reason), "")
