"""The order state machine, without I/O: `handle(order, input) -> (order, commands)`.

NEW ── committed ──> INTENT ── cleared ──> SENT ──> ACK | REJECTED | UNKNOWN
ACK, UNKNOWN ── broker's record ──> PARTIAL | FILLED | CANCELLED | REJECTED
FILLED ── trade closed ──> CLOSED          INTENT, UNKNOWN ── never was ──> EXPIRED

UNKNOWN is left only on the broker's record: a row that names the order, or a complete scan from
the intent's checkpoint that names it nowhere, for an entry repeated after a quiet window (an exit
names its trade, so the next attempt harms nobody if the first still lands). A row that turns up
later still counts: evidence moves an order out of any state but CLOSED.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sepd.domain.account import (
    AccountEvent,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
)
from sepd.domain.order import (
    Ambiguous,
    Done,
    OrderIntent,
    OrderState,
    Outcome,
    Purpose,
    Refused,
    Unsent,
)

ZERO = Decimal(0)
FINAL = frozenset(
    {OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.CLOSED}
)


UNDECIDED = frozenset({OrderState.NEW, OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN})
"""States of which only the broker's record can tell the outcome, once the process has ended."""


class Order(Struct, frozen=True, gc=False):
    """An intent and what is known of it.

    `seen` is the newest transaction that moved it; `quiet` says that the quiet window of an
    UNKNOWN order has passed; `trades` are the trades it opened that are open still.
    """

    intent: OrderIntent
    state: OrderState = OrderState.NEW
    order_id: int | None = None
    filled: Decimal = ZERO
    trades: tuple[int, ...] = ()
    reason: str = ""
    seen: int = 0
    quiet: bool = False


class Committed(Struct, frozen=True):
    """The intent is durable; not `stored` while only a local file has it."""

    stored: bool = True


class NotCommitted(Struct, frozen=True):
    """The intent is not durable, so nothing may be sent; `again` if it may be later."""

    reason: str
    again: bool = False


class Cleared(Struct, frozen=True):
    """Right before sending: still valid, still the one sender."""


class Fenced(Struct, frozen=True):
    """Right before sending: it may not be sent any more."""

    reason: str


class Recovered(Struct, frozen=True):
    """The process that held the order ended; this one found it in the store."""


class QuietElapsed(Struct, frozen=True):
    """The quiet window has passed."""


class Absent(Struct, frozen=True):
    """A complete scan from the intent's checkpoint names the order nowhere."""


Input = (
    Committed
    | NotCommitted
    | Cleared
    | Fenced
    | Recovered
    | QuietElapsed
    | Absent
    | Outcome
    | AccountEvent
)


class Verify(Struct, frozen=True):
    """Check expiry and leadership, answer `Cleared` or `Fenced`."""


class Send(Struct, frozen=True):
    """Place the order, once."""


class Record(Struct, frozen=True):
    """Commit the order's new state."""


class Release(Struct, frozen=True):
    """The intent is no exposure any more."""


class Block(Struct, frozen=True):
    """Keep the instrument from being entered because of this order."""


class Unblock(Struct, frozen=True):
    """Lift that block."""


class Scan(Struct, frozen=True):
    """Read all transactions after `from_id`; answer with the rows found, or `Absent`."""

    from_id: int


class Wait(Struct, frozen=True):
    """Let the quiet window pass, answer `QuietElapsed`."""


class Repeat(Struct, frozen=True):
    """Attempt the exit again, as a new intent."""


Command = Verify | Send | Record | Release | Block | Unblock | Scan | Wait | Repeat
Step = tuple[Order, tuple[Command, ...]]


def handle(order: Order, item: Input) -> Step:
    """The next state, and what to do about it. An input that does not apply changes nothing."""
    match item:
        case OrderAccepted() | OrderFilled() | OrderCancelled() | OrderRejected():
            return _evidence(order, item)
        case Done() | Refused() | Unsent() | Ambiguous():
            return _outcome(order, item)
        case Recovered():
            return _recovered(order)
        case QuietElapsed() | Absent():
            return _unknown(order, item)
        case Committed() | NotCommitted() | Cleared() | Fenced():
            return _before_sending(order, item)
        case _:
            return order, ()


def _before_sending(order: Order, item: Committed | NotCommitted | Cleared | Fenced) -> Step:
    match order.state, item:
        case OrderState.NEW, Committed():
            return replace(order, state=OrderState.INTENT), (Verify(),)
        case OrderState.NEW, NotCommitted(reason, again):
            retry = again and order.intent.purpose is Purpose.EXIT
            command = Repeat() if retry else Release()
            return _ended(order, OrderState.EXPIRED, reason), (command,)
        case OrderState.CLOSED, Committed():
            return order, (Record(),)
        case OrderState.INTENT, Cleared():
            return replace(order, state=OrderState.SENT), (Send(),)
        case OrderState.INTENT, Fenced(reason):
            return _ended(order, OrderState.EXPIRED, reason), (Record(), Release())
        case _:
            return order, ()


def _outcome(order: Order, outcome: Outcome) -> Step:
    if order.state is not OrderState.SENT:
        return order, ()
    match outcome:
        case Done():
            return replace(order, state=OrderState.ACK), ()
        case Refused(reason):
            return _ended(order, OrderState.REJECTED, reason), (Record(), Release())
        case Unsent(reason):
            return _ended(order, OrderState.EXPIRED, reason), _given_up(order)
        case Ambiguous(reason):
            return _doubted(order, reason)


def _recovered(order: Order) -> Step:
    """What a dead process had committed may have been sent: only the record can tell."""
    if order.state in UNDECIDED:
        return _doubted(order, order.reason or "RECOVERED")
    return order, ()


def _doubted(order: Order, reason: str) -> Step:
    doubted = replace(order, state=OrderState.UNKNOWN, reason=reason, quiet=False)
    return doubted, (Record(), Block(), Scan(order.intent.checkpoint))


def _unknown(order: Order, item: QuietElapsed | Absent) -> Step:
    if order.state is not OrderState.UNKNOWN:
        return order, ()
    if isinstance(item, QuietElapsed):
        return replace(order, quiet=True), (Scan(order.intent.checkpoint),)
    if not order.quiet and order.intent.purpose is Purpose.ENTRY:
        return order, (Wait(),)
    return _ended(order, OrderState.EXPIRED, "NEVER_ARRIVED"), (*_given_up(order), Unblock())


def _given_up(order: Order) -> tuple[Command, ...]:
    """It never was at the broker: an entry has had its chance, an exit is still wanted and goes
    on counting as under way.
    """
    if order.intent.purpose is Purpose.EXIT:
        return Record(), Repeat()
    return Record(), Release()


def _evidence(
    order: Order, event: OrderAccepted | OrderFilled | OrderCancelled | OrderRejected
) -> Step:
    if order.state is OrderState.CLOSED or event.transaction_id <= order.seen:
        return order, ()
    lifted = (Unblock(),) if order.state is OrderState.UNKNOWN else ()
    seen = replace(order, seen=event.transaction_id)
    named = event.client_order_id == order.intent.id
    match event:
        case OrderAccepted() if named:
            return replace(seen, state=OrderState.ACK, order_id=event.transaction_id), lifted
        case OrderFilled() if named:
            after = _filled(seen, event)
            whole = after.state is not OrderState.PARTIAL
            return after, (*lifted, Release()) if whole else lifted
        case OrderFilled() if _overtaken(order, event):
            ended = _ended(seen, OrderState.CLOSED, "TRADE_CLOSED")
            if order.state is OrderState.NEW:  # not in the store yet
                return ended, (Release(),)
            return ended, (*lifted, Record(), Release())
        case OrderFilled():
            return _trade_closed(order, event), ()
        case OrderCancelled(reason=reason) if named:
            state = OrderState.FILLED if order.filled else OrderState.CANCELLED
            return _ended(seen, state, reason), (*lifted, Release())
        case OrderRejected(reason=reason) if named:
            return _ended(seen, OrderState.REJECTED, reason), (*lifted, Release())
        case _:
            return order, ()


def _filled(order: Order, event: OrderFilled) -> Order:
    filled = order.filled + event.units
    closed = any(part.trade_id == order.intent.trade_id for part in event.closed)
    whole = closed or abs(filled) >= abs(order.intent.units)
    opened = (event.opened.trade_id,) if event.opened else ()
    return replace(
        order,
        state=_state_filled(order, whole),
        order_id=event.order_id,
        filled=filled,
        trades=order.trades + opened,
    )


def _state_filled(order: Order, whole: bool) -> OrderState:
    """An exit has done its work when it is filled; an entry when its trade is closed."""
    if not whole:
        return OrderState.PARTIAL
    return OrderState.CLOSED if order.intent.purpose is Purpose.EXIT else OrderState.FILLED


def _overtaken(order: Order, event: OrderFilled) -> bool:
    """Whether the trade that an exit was to close has been closed by another order."""
    if order.intent.purpose is not Purpose.EXIT or order.state in FINAL:
        return False
    return any(part.trade_id == order.intent.trade_id for part in event.closed)


def _trade_closed(order: Order, event: OrderFilled) -> Order:
    """A fill of another order closed trades that this one opened."""
    closed = {part.trade_id for part in event.closed}
    left = tuple(trade for trade in order.trades if trade not in closed)
    if left == order.trades:
        return order
    state = order.state if left else OrderState.CLOSED
    return replace(order, trades=left, state=state, seen=event.transaction_id)


def _ended(order: Order, state: OrderState, reason: str) -> Order:
    return replace(order, state=state, reason=reason)
