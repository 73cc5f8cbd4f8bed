"""When a pending order's price is reached, compared in half-points so that mid prices are exact."""

from __future__ import annotations

from msgspec import Struct

from sepd.domain.market import Quote
from sepd.venue.account import Account
from sepd.venue.book import Order

_FAR = 1 << 60


def is_buy(account: Account, order: Order) -> bool:
    """Whether the order buys; a dependent order closes its trade."""
    if order.trade_id is not None:
        return account.book.trades[order.trade_id].units < 0
    return order.units > 0


def side(order: Order, buy: bool) -> str:
    """The price that triggers it: BID, ASK or MID."""
    if order.trigger in ("BID", "ASK", "MID"):
        return order.trigger
    return "ASK" if buy != (order.trigger == "INVERSE") else "BID"


def rising(order: Order, buy: bool) -> bool:
    """Whether it triggers at its price and above, not at its price and below."""
    if order.kind == "MARKET_IF_TOUCHED":
        return (order.price or 0) * 2 > (order.initial_price or 0)
    if order.kind in ("STOP", "STOP_LOSS", "TRAILING_STOP_LOSS"):
        return buy
    return not buy


def level(order: Order) -> int:
    """The price that it waits for, points."""
    found = order.trailing if order.kind == "TRAILING_STOP_LOSS" else order.price
    assert found is not None, "a pending order has a price"
    return found


def reached(account: Account, order: Order, quote: Quote) -> bool:
    """Whether `quote` triggers `order`."""
    buy = is_buy(account, order)
    reference = {"BID": 2 * quote.bid, "ASK": 2 * quote.ask, "MID": quote.mid2}[side(order, buy)]
    wanted = 2 * level(order)
    if not (reference >= wanted if rising(order, buy) else reference <= wanted):
        return False
    return order.kind not in ("LIMIT", "TAKE_PROFIT") or _no_worse(order, buy, quote)


def _no_worse(order: Order, buy: bool, quote: Quote) -> bool:
    """A limit fills at its price or better, whatever price triggers it."""
    return quote.ask <= level(order) if buy else quote.bid >= level(order)


def ratchet(account: Account, order: Order, quote: Quote) -> None:
    """Pull a trailing stop after the price; it never moves back."""
    assert order.trailing is not None
    distance = order.distance or 0
    if is_buy(account, order):
        order.trailing = min(order.trailing, quote.ask + distance)
    else:
        order.trailing = max(order.trailing, quote.bid - distance)


class Watch(Struct):
    """Prices at which something may happen; between them quotes may pass unseen.

    Points, inclusive; `every` asks for every quote.
    """

    bid_below: int = -_FAR
    bid_above: int = _FAR
    ask_below: int = -_FAR
    ask_above: int = _FAR
    every: bool = False

    def calm(self, quote: Quote) -> bool:
        """Whether nothing that is waited for happens at `quote`."""
        return not self.every and (
            self.bid_below < quote.bid < self.bid_above
            and self.ask_below < quote.ask < self.ask_above
        )

    def narrowed(self, other: Watch) -> Watch:
        """A watch for what either of the two waits for."""
        return Watch(
            max(self.bid_below, other.bid_below),
            min(self.bid_above, other.bid_above),
            max(self.ask_below, other.ask_below),
            min(self.ask_above, other.ask_above),
            self.every or other.every,
        )

    def add(self, name: str, above: bool, points: int) -> None:
        """Ask to be told when BID or ASK is at `points` or beyond."""
        if name == "MID":
            self.every = True
        elif name == "BID" and above:
            self.bid_above = min(self.bid_above, points)
        elif name == "BID":
            self.bid_below = max(self.bid_below, points)
        elif above:
            self.ask_above = min(self.ask_above, points)
        else:
            self.ask_below = max(self.ask_below, points)


def watch_orders(account: Account, instrument: str) -> Watch | None:
    """What the pending orders of `instrument` wait for; None where there are none."""
    orders = [o for o in account.book.pending.values() if o.instrument == instrument]
    if not orders:
        return None
    watch = Watch()
    for order in orders:
        buy = is_buy(account, order)
        watch.add(side(order, buy), rising(order, buy), level(order))
        if order.kind == "TRAILING_STOP_LOSS":
            distance = order.distance or 0
            best = level(order) - distance - 1 if buy else level(order) + distance + 1
            watch.add("ASK" if buy else "BID", not buy, best)
    return watch
