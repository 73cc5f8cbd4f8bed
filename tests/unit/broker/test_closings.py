"""Whose order a row about a close is."""

from __future__ import annotations

from decimal import Decimal

from sepd.broker.oanda.closings import Closings
from sepd.domain.account import OrderAccepted, OrderCancelled, OtherTransaction
from tests.support.oanda import leave


def test_a_close_is_named_by_its_trade_then_by_its_order() -> None:
    closings = Closings()
    created = OrderAccepted(11, 1, "MARKET", "TRADE_CLOSE", "EUR_USD", Decimal(-1), trade_id=8)
    cancelled = OrderCancelled(12, 1, 11, "MARKET_HALTED")
    assert closings.named(created) == created
    closings.expect(leave())
    assert getattr(closings.named(cancelled), "client_order_id", None) == ""
    assert getattr(closings.named(created), "client_order_id", None) == "sepd-exit"
    closings.expect(leave(id="sepd-exit-2"))
    assert getattr(closings.named(cancelled), "client_order_id", None) == "sepd-exit"
    assert closings.named(OtherTransaction(13, 1, "CREATE")) == OtherTransaction(13, 1, "CREATE")
