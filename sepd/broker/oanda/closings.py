"""Names for the transactions of trade closes, which OANDA gives no client id. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from sepd.domain.account import AccountEvent, OrderAccepted, OrderCancelled, OrderFilled
from sepd.domain.order import OrderIntent

_REMEMBERED = 4_096


class Closings:
    """Which intent closes which trade, as far as this process has sent it.

    A close is named by its trade, so its order row is recognised by the trade and its fill or
    cancel row by the order; both are given the intent's id as client order id.
    """

    def __init__(self) -> None:
        self._by_trade: dict[int, str] = {}
        self._by_order: dict[int, str] = {}

    def expect(self, intent: OrderIntent) -> None:
        """`intent` is about to close its trade; the newest attempt is the one that counts."""
        if intent.trade_id is not None:
            self._by_trade[intent.trade_id] = intent.id
            _bound(self._by_trade)

    def named(self, event: AccountEvent) -> AccountEvent:
        """`event`, with the intent's id if it belongs to a close that was sent from here."""
        match event:
            case OrderAccepted(reason="TRADE_CLOSE", client_order_id="", trade_id=int(trade)):
                number = event.transaction_id
                intent_id = self._by_order.get(number) or self._by_trade.get(trade)
                if intent_id is None:
                    return event
                self._by_order[number] = intent_id
                _bound(self._by_order)
                return replace(event, client_order_id=intent_id)
            case OrderFilled(client_order_id="") | OrderCancelled(client_order_id=""):
                intent_id = self._by_order.get(event.order_id)
                return event if intent_id is None else replace(event, client_order_id=intent_id)
            case _:
                return event


def _bound(names: dict[int, str]) -> None:
    """Forget the oldest beyond what can still be under way."""
    if len(names) > _REMEMBERED:
        del names[next(iter(names))]
