"""What a batch of broker transactions does to an account's books. Pure; both stores write it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec
from msgspec import Struct

from sepd.domain.account import AccountEvent
from sepd.storage import books
from sepd.storage.lines import Account, Lines, Order, Trade


class Keys(Struct, frozen=True):
    """By what the lines that a batch touches are found; an order also by its trade."""

    intents: tuple[str, ...] = ()
    orders: tuple[int, ...] = ()
    trades: tuple[int, ...] = ()


class Changes(Struct, frozen=True):
    """What is to be written, all or nothing.

    `events` are those that had not been applied before, `moved_ns` is the time of the last one
    that concerned an order.
    """

    account: Account
    events: tuple[AccountEvent, ...] = ()
    orders: dict[str, Order] = {}
    moved_ns: dict[str, int] = {}
    trades: dict[int, Trade] = {}

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of `events`."""
        return tuple(event.transaction_id for event in self.events)


def keys(events: Sequence[AccountEvent]) -> Keys:
    """The keys of all lines that `events` touch."""
    named = [books.order_keys(event) for event in events]
    return Keys(
        tuple(sorted({name for name, _ in named} - {""})),
        tuple(sorted({number for _, number in named if number is not None})),
        tuple(sorted({trade_id for event in events for trade_id in books.trade_keys(event)})),
    )


def apply_all(
    events: Sequence[AccountEvent],
    held: Lines,
    applied: Collection[int],
    trading_day: Callable[[int], str],
) -> Changes:
    """The changes after `events`, one after the other.

    Args:
        held: the account, the orders that `keys` finds, and its trades where they are open.
        applied: ids applied after a hole, greater than the account's `last_transaction_id`.
    """
    account, orders, trades = held.account, dict(held.orders), dict(held.trades)
    moved_ns: dict[str, int] = {}
    changed: dict[int, Trade] = {}
    fresh = _fresh(events, account.last_transaction_id, applied)
    for event in fresh.values():
        after = books.apply(event, Lines(account, orders, trades), trading_day)
        account = after.account
        orders |= after.orders
        moved_ns |= dict.fromkeys(after.orders, event.time_ns)
        changed |= after.trades
        trades |= after.trades
        trades = {key: trade for key, trade in trades.items() if trade.closed_ns is None}
    last = books.contiguous(account.last_transaction_id, {*applied, *fresh})
    return Changes(
        msgspec.structs.replace(account, last_transaction_id=last),
        tuple(fresh.values()),
        {name: orders[name] for name in moved_ns},
        moved_ns,
        changed,
    )


def _fresh(
    events: Sequence[AccountEvent], last: int, applied: Collection[int]
) -> dict[int, AccountEvent]:
    """Those of `events` that have not been applied, each once, in their order."""
    fresh: dict[int, AccountEvent] = {}
    for event in events:
        number = event.transaction_id
        if number > last and number not in applied:
            fresh.setdefault(number, event)
    return fresh
