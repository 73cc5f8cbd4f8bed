"""OANDA's own client, `v20` 3.0.25.0, unmodified, against the venue: every call in scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.venue_process import Venue, running, write_tape

v20 = pytest.importorskip("v20")


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """A stepped venue on two pairs, a minute into the tape."""
    folder = tmp_path_factory.mktemp("v20")
    tapes = [
        write_tape(folder),
        write_tape(folder, name="USD_JPY", base=102.0, digits=3),
    ]
    arguments = [text for tape in tapes for text in ("--tape", str(tape))]
    with running(*arguments, "--speed", "step") as started:
        advance(started, 120)
        yield started


def advance(venue: Venue, quotes: int) -> None:
    """Play so many quotes."""
    url = f"{venue.url}/v3/venue/advance"
    requests.post(
        url, json={"quotes": quotes}, headers=venue.headers, timeout=10
    ).raise_for_status()


@pytest.fixture
def api(venue: Venue) -> Iterator[Any]:
    """The client, and a flat account at the end."""
    context = v20.Context("127.0.0.1", venue.port, ssl=False, token=venue.token)
    yield context
    for order in context.order.list_pending(venue.account_id).get("orders", 200):
        if order.type in ("LIMIT", "STOP", "MARKET_IF_TOUCHED"):
            context.order.cancel(venue.account_id, order.id)
    for trade in context.trade.list_open(venue.account_id).get("trades", 200):
        context.trade.close(venue.account_id, trade.id)
    context._session.close()


def market(api: Any, venue: Venue, units: int = 100, **fields: Any) -> Any:
    """A filled market order's reply."""
    reply = api.order.market(venue.account_id, instrument="EUR_USD", units=units, **fields)
    assert reply.status == 201, reply.raw_body
    return reply


def test_accounts(api: Any, venue: Venue) -> None:
    listed = api.account.list().get("accounts", 200)
    assert [item.id for item in listed] == [venue.account_id]
    assert api.account.get(venue.account_id).get("account", 200).currency == "USD"
    summary = api.account.summary(venue.account_id).get("account", 200)
    assert summary.balance == pytest.approx(100_000, abs=100)
    names = api.account.instruments(venue.account_id).get("instruments", 200)
    assert [item.name for item in names] == ["EUR_USD", "USD_JPY"]
    chosen = api.account.instruments(venue.account_id, instruments="USD_JPY,EUR_USD")
    assert [item.pipLocation for item in chosen.get("instruments", 200)] == [-2, -4]


def test_configuration(api: Any, venue: Venue) -> None:
    reply = api.account.configure(venue.account_id, alias="mine", marginRate="0.05")
    assert reply.get("clientConfigureTransaction", 200).alias == "mine"
    assert api.account.summary(venue.account_id).get("account", 200).marginRate == 0.05


def test_market_order_and_changes(api: Any, venue: Venue) -> None:
    since = api.account.summary(venue.account_id).get("lastTransactionID", 200)
    reply = market(
        api,
        venue,
        priceBound=1.2,
        takeProfitOnFill={"price": 1.5},
        stopLossOnFill={"price": "1.0"},
        trailingStopLossOnFill={"distance": 0.01},
        clientExtensions={"id": "mine", "tag": "t", "comment": "c"},
        tradeClientExtensions={"id": "trade"},
    )
    fill = reply.get("orderFillTransaction", 201)
    changes = api.account.changes(venue.account_id, sinceTransactionID=since)
    found = changes.get("changes", 200)
    assert [item.id for item in found.tradesOpened] == [fill.id]
    assert [item.type for item in found.ordersCreated] == [
        "MARKET",
        "TAKE_PROFIT",
        "STOP_LOSS",
        "TRAILING_STOP_LOSS",
    ]
    assert [item.id for item in found.transactions] == reply.get("relatedTransactionIDs", 201)
    assert changes.get("state", 200).trades[0].id == fill.id
    trade = api.trade.get(venue.account_id, "@trade").get("trade", 200)
    assert trade.stopLossOrder.price == 1.0
    assert trade.trailingStopLossOrder.trailingStopValue == pytest.approx(
        fill.price - 0.0101, abs=1e-9
    )


def test_resting_orders_are_made_listed_changed_replaced_and_cancelled(
    api: Any, venue: Venue
) -> None:
    made = {}
    for kind, price in (("limit", 1.05), ("stop", 1.25), ("market_if_touched", 1.06)):
        reply = getattr(api.order, kind)(
            venue.account_id,
            instrument="EUR_USD",
            units=10,
            price=price,
            clientExtensions={"id": kind},
        )
        assert reply.status == 201, reply.raw_body
        assert set(reply.body) == {
            "orderCreateTransaction",
            "relatedTransactionIDs",
            "lastTransactionID",
        }
        made[kind] = reply.get("orderCreateTransaction", 201).id
    pending = api.order.list_pending(venue.account_id).get("orders", 200)
    assert sorted(order.id for order in pending) == sorted(made.values())
    listed = api.order.list(venue.account_id, state="PENDING", count=2).get("orders", 200)
    assert [order.id for order in listed] == sorted(made.values(), key=int, reverse=True)[:2]
    by_name = api.order.get(venue.account_id, "@limit").get("order", 200)
    assert (by_name.id, by_name.price) == (made["limit"], 1.05)
    changed = api.order.set_client_extensions(
        venue.account_id, made["stop"], clientExtensions={"comment": "hello"}
    )
    assert changed.get("orderClientExtensionsModifyTransaction", 200).orderID == made["stop"]
    for kind, order_id in made.items():
        replaced = getattr(api.order, f"{kind}_replace")(
            venue.account_id,
            order_id,
            instrument="EUR_USD",
            units=20,
            price=1.04 if kind == "limit" else 1.3,
        )
        assert replaced.status == 201, replaced.raw_body
        cancel = replaced.get("orderCancelTransaction", 201)
        assert cancel.reason == "CLIENT_REQUEST_REPLACED"
        new = replaced.get("orderCreateTransaction", 201)
        assert new.replacesOrderID == order_id
        assert new.clientExtensions.id == kind
        done = api.order.cancel(venue.account_id, f"@{kind}")
        assert done.get("orderCancelTransaction", 200).reason == "CLIENT_REQUEST"
        gone = api.order.cancel(venue.account_id, new.id)
        assert gone.get("errorCode", 404) == "ORDER_DOESNT_EXIST"
        assert gone.get("orderCancelRejectTransaction", 404).orderID == new.id


def test_trades_are_listed_marked_guarded_and_closed(api: Any, venue: Venue) -> None:
    trade_id = market(api, venue, 100).get("orderFillTransaction", 201).id
    assert api.trade.list(venue.account_id).get("trades", 200)[0].id == trade_id
    by_id = api.trade.list(venue.account_id, ids=trade_id, instrument="EUR_USD")
    assert by_id.get("trades", 200)[0].currentUnits == 100
    marked = api.trade.set_client_extensions(
        venue.account_id, trade_id, clientExtensions={"id": "named"}
    )
    assert marked.status == 200
    set_up = api.trade.set_dependent_orders(
        venue.account_id,
        "@named",
        takeProfit={"price": "1.4"},
        stopLoss={"distance": "0.02"},
        trailingStopLoss={"distance": "0.01"},
    )
    assert set_up.get("takeProfitOrderTransaction", 200).price == 1.4
    assert set_up.get("trailingStopLossOrderTransaction", 200).distance == 0.01
    for kind, level in (("take_profit", 1.45), ("stop_loss", 1.01)):
        held = getattr(
            api.trade.get(venue.account_id, trade_id).get("trade", 200),
            f"{'takeProfit' if kind == 'take_profit' else 'stopLoss'}Order",
        )
        swapped = getattr(api.order, f"{kind}_replace")(
            venue.account_id, held.id, tradeID=trade_id, price=level
        )
        assert swapped.get("orderCreateTransaction", 201).price == level
    part = api.trade.close(venue.account_id, trade_id, units="40")
    assert part.get("orderFillTransaction", 200).tradeReduced.units == -40
    whole = api.trade.close(venue.account_id, trade_id)
    assert whole.get("orderFillTransaction", 200).tradesClosed[0].units == -60
    again = api.trade.close(venue.account_id, trade_id)
    assert again.get("errorCode", 404) == "TRADE_DOESNT_EXIST"
    stop = api.order.stop_loss(venue.account_id, tradeID=trade_id, price=1.0)
    assert stop.get("errorCode", 404) == "TRADE_DOESNT_EXIST"


def test_dependent_orders_by_themselves(api: Any, venue: Venue) -> None:
    trade_id = market(api, venue, -100).get("orderFillTransaction", 201).id
    for made in (
        api.order.take_profit(venue.account_id, tradeID=trade_id, price=1.0),
        api.order.stop_loss(venue.account_id, tradeID=trade_id, price=1.3),
        api.order.trailing_stop_loss(venue.account_id, tradeID=trade_id, distance=0.02),
    ):
        assert made.get("orderCreateTransaction", 201).tradeID == trade_id
    trade = api.trade.get(venue.account_id, trade_id).get("trade", 200)
    swapped = api.order.trailing_stop_loss_replace(
        venue.account_id, trade.trailingStopLossOrder.id, tradeID=trade_id, distance=0.03
    )
    assert swapped.get("orderCreateTransaction", 201).distance == 0.03


def test_positions(api: Any, venue: Venue) -> None:
    market(api, venue, 100)
    held = api.position.get(venue.account_id, "EUR_USD").get("position", 200)
    assert (held.long.units, held.short.units) == (100, 0)
    assert len(api.position.list_open(venue.account_id).get("positions", 200)) == 1
    closed = api.position.close(venue.account_id, "EUR_USD", longUnits="ALL")
    assert closed.get("longOrderFillTransaction", 200).units == -100
    flat = api.position.list(venue.account_id).get("positions", 200)
    assert [item.long.units for item in flat if item.instrument == "EUR_USD"] == [0]
    assert api.position.close(venue.account_id, "EUR_USD", longUnits="ALL").status == 404
    assert api.position.get(venue.account_id, "USD_JPY").status == 404


def test_transactions(api: Any, venue: Venue) -> None:
    market(api, venue, 1)
    page = api.transaction.list(venue.account_id, pageSize=2)
    assert page.get("count", 200) == int(page.get("lastTransactionID", 200))
    assert page.get("pages", 200)[0].endswith("idrange?from=1&to=2")
    first = api.transaction.get(venue.account_id, 1).get("transaction", 200)
    assert first.type == "CREATE"
    ranged = api.transaction.range(venue.account_id, fromID=1, toID=3, type="ORDER,FUNDING")
    assert ranged.get("transactions", 200)[0].type == "TRANSFER_FUNDS"
    last = int(page.get("lastTransactionID", 200))
    since = api.transaction.since(venue.account_id, id=last - 1).get("transactions", 200)
    assert [item.id for item in since] == [str(last)]
    assert api.transaction.since(venue.account_id, id=last + 9).status == 416


def test_prices_and_candles(api: Any, venue: Venue) -> None:
    reply = api.pricing.get(
        venue.account_id,
        instruments="EUR_USD,USD_JPY",
        includeUnitsAvailable=True,
        includeHomeConversions=True,
    )
    prices = reply.get("prices", 200)
    assert [price.instrument for price in prices] == ["EUR_USD", "USD_JPY"]
    assert prices[0].bids[0].price < prices[0].asks[0].price
    assert {item.currency for item in reply.get("homeConversions", 200)} == {"EUR", "USD", "JPY"}
    candles = api.instrument.candles(
        "EUR_USD", granularity="S30", price="BAM", count=3, smooth=False
    ).get("candles", 200)
    assert candles[0].complete
    assert candles[0].bid.o <= candles[0].mid.o <= candles[0].ask.o


def test_streams(api: Any, venue: Venue) -> None:
    stream = api.pricing.stream(venue.account_id, instruments="EUR_USD", snapshot=True)
    assert stream.status == 200
    kind, price = next(iter(stream.parts()))
    assert kind == "pricing.ClientPrice"
    assert price.instrument == "EUR_USD"
    stream = api.transaction.stream(venue.account_id)
    parts = iter(stream.parts())
    kind, beat = next(parts)
    assert kind == "transaction.TransactionHeartbeat"
    placed = market(v20.Context("127.0.0.1", venue.port, ssl=False, token=venue.token), venue, 1)
    kind, row = next(parts)
    assert row.id == placed.get("orderCreateTransaction", 201).id
    assert int(beat.lastTransactionID) < int(row.id)


def test_errors_and_unix_times(venue: Venue) -> None:
    stranger = v20.Context("127.0.0.1", venue.port, ssl=False, token="other")
    refused = stranger.account.list()
    assert (refused.status, refused.get("errorMessage", 401)) == (
        401,
        "Insufficient authorization to perform request.",
    )
    api = v20.Context("127.0.0.1", venue.port, ssl=False, token=venue.token, datetime_format="UNIX")
    assert api.account.get("101-001-9-001").status == 403
    price = api.pricing.get(venue.account_id, instruments="EUR_USD").get("prices", 200)[0]
    assert price.time.startswith("139890")
    assert api.order.list_pending(venue.account_id, timeout=1).status == 200


def test_the_clients_own_slip_finds_nothing(api: Any, venue: Venue) -> None:
    """`pricing.candles` sends a literal `{accountID}`; `instrument.candles` is the one to use."""
    assert api.pricing.candles("EUR_USD").status == 404


def test_unknown_paths_and_verbs_are_answered_as_json(venue: Venue) -> None:
    reply = requests.get(f"{venue.url}/v3/nothing", headers=venue.headers, timeout=10)
    assert reply.status_code == 404
    assert "errorMessage" in reply.json()
    wrong = requests.delete(venue.account, headers=venue.headers, timeout=10)
    assert wrong.status_code == 405
    assert "errorMessage" in wrong.json()
