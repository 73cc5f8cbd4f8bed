"""What an order looks like on the wire."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.broker.oanda import requests, wire
from sepd.domain.market import Instrument
from sepd.domain.order import OrderIntent, Purpose, TimeInForce

PRICES = st.none() | st.integers(1, 10**9)
INTENTS = st.builds(
    OrderIntent,
    id=st.just("sepd-1"),
    account_id=st.just("A"),
    signal_id=st.just("S"),
    purpose=st.sampled_from(Purpose),
    instrument=st.just("EUR_USD"),
    units=st.decimals(-(10**6), 10**6, places=1) | st.just(Decimal("1E+5")),
    created_ns=st.just(0),
    expires_ns=st.just(0),
    checkpoint=st.just(0),
    price_bound=PRICES,
    stop_loss=PRICES,
    take_profit=PRICES,
    time_in_force=st.sampled_from((TimeInForce.FOK, TimeInForce.IOC)),
)


@given(INTENTS, st.sampled_from((5, 3, 7)))
def test_an_intent_asks_for_what_the_general_market_order_asks_for(
    intent: OrderIntent, precision: int
) -> None:
    of = Instrument("EUR_USD", display_precision=precision)
    assert requests.order_body(intent, of) == {"order": general(intent, of)}


def general(intent: OrderIntent, of: Instrument) -> dict[str, Any]:
    """The body by way of the general request."""
    own, entry = wire.Extensions(id=intent.id), intent.purpose is Purpose.ENTRY

    def price(points: int | None) -> Decimal | None:
        return None if points is None else of.to_price(points)

    def leave(points: int | None) -> requests.ExitDetails | None:
        return requests.ExitDetails(price=price(points)) if entry and points is not None else None

    return requests.body(
        requests.MarketOrder(
            instrument=intent.instrument,
            units=intent.units,
            time_in_force=intent.time_in_force,
            price_bound=price(intent.price_bound),
            position_fill="DEFAULT" if entry else "REDUCE_ONLY",
            client_extensions=own,
            trade_client_extensions=own if entry else None,
            stop_loss_on_fill=leave(intent.stop_loss),
            take_profit_on_fill=leave(intent.take_profit),
        )
    )


@pytest.mark.parametrize(
    ("number", "text"), [("1E+3", "1000"), ("0.10", "0.10"), ("-100000000", "-100000000")]
)
def test_decimals_are_written_without_exponent(number: str, text: str) -> None:
    assert requests.plain(Decimal(number)) == text
