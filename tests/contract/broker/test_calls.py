"""Every typed call against the practice venue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from sepd.broker.oanda import OandaBroker
from sepd.broker.oanda.requests import (
    ExitDetails,
    LimitOrder,
    MarketIfTouchedOrder,
    MarketOrder,
    Order,
    StopLossOrder,
    StopOrder,
    TakeProfitOrder,
    TrailingStopLossOrder,
)
from sepd.broker.oanda.wire import Extensions
from sepd.domain.account import AccountEvent, OrderAccepted, OrderCancelled, OrderFilled
from sepd.domain.order import Done, Outcome, Refused, TimeInForce
from sepd.errors import BrokerRejected
from tests.support.venue import Venue, client, write_ticks
from tests.support.venue_app import conductor, serving

S = 1_000_000_000
START = 1_489_579_200 * S
PRICE = Decimal("1.10000")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[OandaBroker]:
    """A client of a venue whose tape stands at 1.10000 / 1.10010."""
    rows = [(START + number * S, "1.10000", "1.10010") for number in range(5)]
    stepped = conductor(write_ticks(tmp_path / "EUR_USD.tick.csv", rows))
    async with serving(stepped) as http:
        await http.advance(3)
        config = stepped.engine.account.config
        where = http.http.make_url("")
        running = Venue(where.port or 0, config.token, config.account_id)
        async with client(running.settings()) as one:
            yield one


def done(outcome: Outcome) -> Sequence[AccountEvent]:
    assert isinstance(outcome, Done), outcome
    return outcome.events


async def opened(broker: OandaBroker, units: int = 1_000, name: str = "t") -> int:
    """The id of a trade opened at the market."""
    order = MarketOrder("EUR_USD", Decimal(units), trade_client_extensions=Extensions(id=name))
    fill = done(await broker.calls.orders.create(order))[-1]
    assert isinstance(fill, OrderFilled)
    assert fill.opened is not None
    return fill.opened.trade_id


async def test_the_account_in_short_and_what_changed(broker: OandaBroker) -> None:
    calls = broker.calls
    assert [account.id for account in await calls.account.list()] == [broker.account_id]
    before = await calls.account.summary()
    assert before.account.balance == before.account.nav == Decimal(100_000)
    trade = await opened(broker)
    changes = await calls.account.changes(before.last_transaction_id)
    assert [one.id for one in changes.changes.trades_opened] == [trade]
    assert [row.type for row in changes.changes.transactions] == ["MARKET_ORDER", "ORDER_FILL"]
    assert changes.state.margin_used is not None
    assert changes.state.margin_used > 0
    after = await calls.account.summary()
    assert (after.account.open_trade_count, after.account.open_position_count) == (1, 1)
    with pytest.raises(BrokerRejected):
        await calls.account.changes(10_000)


async def test_the_accounts_name_and_margin_rate(broker: OandaBroker) -> None:
    done(await broker.calls.account.configure(alias="practice", margin_rate=Decimal("0.05")))
    summary = (await broker.calls.account.summary()).account
    assert (summary.alias, summary.margin_rate) == ("practice", Decimal("0.05"))


@pytest.mark.parametrize(
    "order",
    [
        LimitOrder("EUR_USD", Decimal(10), PRICE - Decimal("0.01")),
        StopOrder("EUR_USD", Decimal(10), PRICE + Decimal("0.01"), price_bound=Decimal("1.2")),
        MarketIfTouchedOrder("EUR_USD", Decimal(-10), PRICE + Decimal("0.01")),
        LimitOrder(
            "EUR_USD",
            Decimal(10),
            Decimal("1.09"),
            time_in_force=TimeInForce.GTD,
            gtd_time=START + 3_600 * S,
            stop_loss_on_fill=ExitDetails(price=Decimal("1.08")),
            client_extensions=Extensions(id="mine", tag="t", comment="c"),
        ),
    ],
    ids=["limit", "stop", "touched", "limit until"],
)
async def test_an_order_rests_is_replaced_and_cancelled(broker: OandaBroker, order: Order) -> None:
    orders = broker.calls.orders
    created = done(await orders.create(order))[0]
    assert isinstance(created, OrderAccepted)
    resting = await orders.get(created.transaction_id)
    assert (resting.state, resting.type, resting.units) == (
        "PENDING",
        created.kind,
        getattr(order, "units", None),
    )
    assert [one.id for one in await orders.pending()] == [created.transaction_id]
    replaced = done(await orders.replace(created.transaction_id, order))
    cancelled, anew = replaced
    assert isinstance(cancelled, OrderCancelled)
    assert cancelled.reason == "CLIENT_REQUEST_REPLACED"
    assert isinstance(anew, OrderAccepted)
    assert anew.replaces == created.transaction_id
    assert (await orders.get(created.transaction_id)).replaced_by_order_id == anew.transaction_id
    done(await orders.cancel(anew.transaction_id))
    assert isinstance(await orders.cancel(anew.transaction_id), Refused)
    assert await orders.list() == ()
    found = await orders.list(state="CANCELLED", instrument="EUR_USD", count=1)
    assert [one.id for one in found] == [anew.transaction_id]
    assert [one.id for one in await orders.list(state="ALL", before_id=anew.transaction_id)] == [
        created.transaction_id
    ]
    named = await orders.list(state="ALL", ids=[created.transaction_id])
    assert [one.id for one in named] == [created.transaction_id]


async def test_an_order_is_found_by_its_client_id_while_it_is_pending(broker: OandaBroker) -> None:
    orders = broker.calls.orders
    order = LimitOrder("EUR_USD", Decimal(10), Decimal("1.09"))
    created = done(await orders.create(order))[0]
    done(await orders.extend(created.transaction_id, own=Extensions(id="a b", tag="x")))
    assert (await orders.get("@a b")).id == created.transaction_id
    done(await orders.cancel("@a b"))
    with pytest.raises(BrokerRejected) as caught:
        await orders.get("@a b")
    assert caught.value.reason == "NO_SUCH_ORDER"


async def test_a_trade_is_protected_named_and_closed_in_parts(broker: OandaBroker) -> None:
    trades = broker.calls.trades
    trade = await opened(broker)
    done(
        await trades.protect(
            trade,
            take_profit=ExitDetails(price=Decimal("1.12")),
            stop_loss=ExitDetails(price=Decimal("1.08")),
            trailing_stop_loss=ExitDetails(distance=Decimal("0.01")),
        )
    )
    held = await trades.get(trade)
    assert held.take_profit_order is not None
    assert held.take_profit_order.price == Decimal("1.12")
    assert held.trailing_stop_loss_order is not None
    assert held.trailing_stop_loss_order.distance == Decimal("0.01")
    done(await trades.protect(trade, take_profit=None))
    held = await trades.get("@t")
    assert held.take_profit_order is None
    assert held.stop_loss_order is not None
    done(await trades.extend(trade, Extensions(id="renamed")))
    assert (await trades.get("@renamed")).id == trade
    done(await trades.close(trade, Decimal(400)))
    assert [one.current_units for one in await trades.open()] == [Decimal(600)]
    done(await trades.close("@renamed"))
    assert await trades.open() == ()
    refused = await trades.close(trade)
    assert isinstance(refused, Refused)
    assert refused.reason == "TRADE_DOESNT_EXIST"
    (closed,) = await trades.list(state="CLOSED")
    assert (closed.initial_units, closed.average_close_price) == (Decimal(1000), PRICE)


@pytest.mark.parametrize(
    "order",
    [
        lambda trade: TakeProfitOrder(trade, price=Decimal("1.12")),
        lambda trade: StopLossOrder(trade, price=Decimal("1.08")),
        lambda trade: TrailingStopLossOrder(trade, distance=Decimal("0.01")),
    ],
    ids=["take profit", "stop loss", "trailing stop"],
)
async def test_orders_that_close_a_trade(
    broker: OandaBroker, order: Callable[[int], Order]
) -> None:
    trade = await opened(broker)
    created = done(await broker.calls.orders.create(order(trade)))[0]
    assert isinstance(created, OrderAccepted)
    assert created.trade_id == trade
    (resting,) = await broker.calls.orders.pending()
    assert resting.trade_id == trade


async def test_positions_are_closed_by_side(broker: OandaBroker) -> None:
    positions = broker.calls.positions
    assert await positions.list() == ()
    with pytest.raises(BrokerRejected) as caught:
        await positions.get("EUR_USD")
    assert caught.value.reason == "NO_SUCH_POSITION"
    trade = await opened(broker)
    held = await positions.get("EUR_USD")
    assert (held.long.units, held.short.units) == (Decimal(1_000), Decimal(0))
    assert held.long.trade_ids == (trade,)
    assert isinstance(await positions.close("EUR_USD", short="ALL"), Refused)
    done(await positions.close("EUR_USD", long=Decimal(250)))
    done(await positions.close("EUR_USD", long="ALL"))
    assert await positions.list(only_open=True) == ()
    (flat,) = await positions.list()
    assert flat.long.units == 0


async def test_transactions_by_page_range_and_id(broker: OandaBroker) -> None:
    calls = broker.calls.transactions
    trade = await opened(broker)
    fill = await calls.get(trade)
    assert isinstance(fill, OrderFilled)
    assert (await calls.between(trade - 1, trade))[1] == fill
    pages = await calls.pages(START - S, START + 60 * S, page_size=2)
    assert pages.count >= 2
    assert all("idrange" in page for page in pages.pages)
