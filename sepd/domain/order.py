"""Order intents and what became of sending them."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from sepd.domain.account import AccountEvent


class Purpose(StrEnum):
    """Why an order is sent: entries need everything in order, exits must always be possible."""

    ENTRY = "ENTRY"
    EXIT = "EXIT"


class TimeInForce(StrEnum):
    """How long an order works."""

    FOK = "FOK"
    IOC = "IOC"
    GTC = "GTC"
    GTD = "GTD"
    GFD = "GFD"


class OrderState(StrEnum):
    """Where an order stands; the arrows are in `sepd.execution.machine`."""

    NEW = "NEW"
    INTENT = "INTENT"
    SENT = "SENT"
    ACK = "ACK"
    UNKNOWN = "UNKNOWN"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    CLOSED = "CLOSED"


class OrderIntent(Struct, frozen=True, gc=False):
    """An order we mean to send, committed before it is sent.

    `id` is the client order id and, for entries, the client trade id. `units` are signed.
    `price_bound`, `stop_loss` and `take_profit` are points. An exit names `trade_id` and is
    reduce-only. `checkpoint` is the newest transaction id known when the intent was formed:
    a scan from there finds the order if it exists.
    """

    id: str
    account_id: str
    signal_id: str
    purpose: Purpose
    instrument: str
    units: Decimal
    created_ns: int
    expires_ns: int
    checkpoint: int
    attempt: int = 0
    price_bound: int | None = None
    stop_loss: int | None = None
    take_profit: int | None = None
    trade_id: int | None = None
    time_in_force: TimeInForce = TimeInForce.FOK


class Done(Struct, frozen=True, tag=True):
    """The broker answered; `events` are its transactions, a fill or a cancel among them."""

    events: tuple[AccountEvent, ...]
    last_transaction_id: int


class Refused(Struct, frozen=True, tag=True):
    """The broker refused: the order does not exist."""

    reason: str
    message: str
    events: tuple[AccountEvent, ...] = ()


class Unsent(Struct, frozen=True, tag=True):
    """The request certainly never reached the broker."""

    reason: str


class Ambiguous(Struct, frozen=True, tag=True):
    """The request may have been applied; only a complete transaction scan can tell."""

    reason: str


Outcome = Done | Refused | Unsent | Ambiguous
