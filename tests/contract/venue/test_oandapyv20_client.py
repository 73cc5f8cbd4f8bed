"""`oandapyV20` 0.7.2, unmodified, against the venue: every v3 call it offers in scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.venue_process import Venue, running, write_tape

client = pytest.importorskip("oandapyV20.oandapyV20")
accounts = pytest.importorskip("oandapyV20.endpoints.accounts")
instruments = pytest.importorskip("oandapyV20.endpoints.instruments")
orders = pytest.importorskip("oandapyV20.endpoints.orders")
positions = pytest.importorskip("oandapyV20.endpoints.positions")
pricing = pytest.importorskip("oandapyV20.endpoints.pricing")
trades = pytest.importorskip("oandapyV20.endpoints.trades")
transactions = pytest.importorskip("oandapyV20.endpoints.transactions")
V20Error = pytest.importorskip("oandapyV20.exceptions").V20Error


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """A stepped venue, a minute into the tape."""
    tape = write_tape(tmp_path_factory.mktemp("oandapy"))
    with running("--tape", str(tape), "--speed", "step") as started:
        requests.post(
            f"{started.url}/v3/venue/advance",
            json={"quotes": 60},
            headers=started.headers,
            timeout=10,
        ).raise_for_status()
        yield started


@pytest.fixture
def api(venue: Venue) -> Iterator[Any]:
    """The client, pointed at the venue."""
    client.TRADING_ENVIRONMENTS["local"] = {"api": venue.url, "stream": venue.url}
    with client.API(venue.token, environment="local", request_params={"timeout": 10}) as found:
        yield found


def market(venue: Venue, units: int = 100, **fields: Any) -> Any:
    """A market order request."""
    order = {"type": "MARKET", "instrument": "EUR_USD", "units": str(units), **fields}
    return orders.OrderCreate(venue.account_id, {"order": order})


def test_accounts(api: Any, venue: Venue) -> None:
    listed = api.request(accounts.AccountList())
    assert listed["accounts"][0]["id"] == venue.account_id
    details = api.request(accounts.AccountDetails(venue.account_id))["account"]
    assert {"trades", "positions", "orders"} <= set(details)
    summary = api.request(accounts.AccountSummary(venue.account_id))["account"]
    assert not {"trades", "positions", "orders"} & set(summary)
    params = {"instruments": "EUR_USD"}
    found = api.request(accounts.AccountInstruments(venue.account_id, params=params))
    assert found["instruments"][0]["displayPrecision"] == 5
    changes = accounts.AccountChanges(venue.account_id, params={"sinceTransactionID": 1})
    first = api.request(changes)["changes"]["transactions"][0]
    assert first["type"] == "TRANSFER_FUNDS"
    data = {"alias": "renamed"}
    configured = api.request(accounts.AccountConfiguration(venue.account_id, data))
    assert configured["clientConfigureTransaction"]["alias"] == "renamed"


def test_orders(api: Any, venue: Venue) -> None:
    body = {
        "order": {
            "type": "LIMIT",
            "instrument": "EUR_USD",
            "units": "-100",
            "price": "1.2",
            "stopLossOnFill": {"timeInForce": "GTC", "price": "1.22"},
            "timeInForce": "GTC",
            "positionFill": "DEFAULT",
        }
    }
    made = api.request(orders.OrderCreate(venue.account_id, body))["orderCreateTransaction"]
    assert (made["price"], made["stopLossOnFill"]["price"]) == ("1.20000", "1.22000")
    order_id = made["id"]
    assert api.request(orders.OrderDetails(venue.account_id, order_id))["order"]["id"] == order_id
    assert api.request(orders.OrderList(venue.account_id))["orders"][0]["id"] == order_id
    assert len(api.request(orders.OrdersPending(venue.account_id))["orders"]) == 1
    data = {"clientExtensions": {"id": "myID", "comment": "myComment"}}
    changed = api.request(orders.OrderClientExtensions(venue.account_id, order_id, data))
    row = changed["orderClientExtensionsModifyTransaction"]
    assert row["clientExtensionsModify"] == data["clientExtensions"]
    body = {
        "order": {"type": "LIMIT", "instrument": "EUR_USD", "units": "-500", "price": "1.25000"}
    }
    reply = api.request(orders.OrderReplace(venue.account_id, order_id, body))
    new = reply["orderCreateTransaction"]
    assert new["clientExtensions"] == data["clientExtensions"]
    assert reply["orderCancelTransaction"]["replacedByOrderID"] == new["id"]
    assert reply["orderCancelTransaction"]["clientOrderID"] == "myID"
    cancelled = api.request(orders.OrderCancel(venue.account_id, new["id"]))
    assert cancelled["orderCancelTransaction"]["reason"] == "CLIENT_REQUEST"


def test_errors(api: Any, venue: Venue) -> None:
    with pytest.raises(V20Error) as caught:
        api.request(market(venue, 0))
    assert caught.value.code == 400
    assert "UNITS_INVALID" in caught.value.msg
    with pytest.raises(V20Error) as caught:
        api.request(orders.OrderDetails(venue.account_id, "999999"))
    assert caught.value.code == 404
    assert "NO_SUCH_ORDER" in caught.value.msg
    with pytest.raises(V20Error) as caught:
        api.request(positions.PositionDetails(venue.account_id, "EUR_XXX"))
    assert caught.value.code == 400


def test_trades_and_positions(api: Any, venue: Venue) -> None:
    fill = api.request(market(venue))["orderFillTransaction"]
    trade_id = fill["tradeOpened"]["tradeID"]
    assert api.request(trades.TradesList(venue.account_id))["trades"][0]["id"] == trade_id
    assert api.request(trades.OpenTrades(venue.account_id))["trades"][0]["id"] == trade_id
    assert api.request(trades.TradeDetails(venue.account_id, trade_id))["trade"]["state"] == "OPEN"
    data = {"clientExtensions": {"id": "myTrade"}}
    marked = api.request(trades.TradeClientExtensions(venue.account_id, trade_id, data))
    assert marked["tradeClientExtensionsModifyTransaction"]["tradeID"] == trade_id
    guard = {"takeProfit": {"price": "1.5"}, "stopLoss": {"price": "1.0"}}
    first = api.request(trades.TradeCRCDO(venue.account_id, trade_id, guard))
    assert first["stopLossOrderTransaction"]["reason"] == "CLIENT_ORDER"
    again = api.request(trades.TradeCRCDO(venue.account_id, trade_id, {"stopLoss": {"price": "1"}}))
    assert again["stopLossOrderTransaction"]["reason"] == "REPLACEMENT"
    assert again["stopLossOrderCancelTransaction"]["reason"] == "CLIENT_REQUEST_REPLACED"
    part = api.request(trades.TradeClose(venue.account_id, trade_id, {"units": 40}))
    assert part["orderCreateTransaction"]["tradeClose"]["units"] == "40"
    assert api.request(positions.OpenPositions(venue.account_id))["positions"]
    held = api.request(positions.PositionDetails(venue.account_id, "EUR_USD"))["position"]
    assert held["long"]["units"] == "60"
    whole = api.request(positions.PositionClose(venue.account_id, "EUR_USD", {"longUnits": "ALL"}))
    assert whole["longOrderCreateTransaction"]["longPositionCloseout"]["units"] == "ALL"
    assert api.request(positions.PositionList(venue.account_id))["positions"]


def test_transactions(api: Any, venue: Venue) -> None:
    pages = api.request(transactions.TransactionList(venue.account_id, {"pageSize": 1}))
    assert len(pages["pages"]) == pages["count"]
    row = api.request(transactions.TransactionDetails(venue.account_id, 2))["transaction"]
    assert row["type"] == "TRANSFER_FUNDS"
    ranged = transactions.TransactionIDRange(venue.account_id, {"from": 1, "to": 2})
    assert len(api.request(ranged)["transactions"]) == 2
    since = transactions.TransactionsSinceID(venue.account_id, {"id": 1})
    assert api.request(since)["transactions"][0]["id"] == "2"


def test_prices_candles_and_streams(api: Any, venue: Venue) -> None:
    params = {"instruments": "EUR_USD"}
    found = api.request(pricing.PricingInfo(venue.account_id, params=params))
    assert found["prices"][0]["tradeable"] is True
    query = {"granularity": "S5", "count": 2, "price": "MBA"}
    candles = api.request(instruments.InstrumentsCandles("EUR_USD", params=query))["candles"]
    assert len(candles) == 2
    stream = pricing.PricingStream(venue.account_id, params={**params, "snapshot": "True"})
    assert next(iter(api.request(stream)))["type"] == "PRICE"
    with pytest.raises(Exception, match="terminated"):
        stream.terminate("terminated")
    feed = iter(api.request(transactions.TransactionsStream(venue.account_id)))
    assert next(feed)["type"] == "HEARTBEAT"
