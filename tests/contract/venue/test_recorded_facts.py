"""What was recorded of OANDA accounts, and what clients in use need: one test for each fact."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from yarl import URL

from sepd.clock import EventClock
from sepd.venue.config import VenueConfig
from tests.support.venue_app import Client, conductor, serving
from tests.support.venue_process import write_tape

LIMIT = {"type": "LIMIT", "instrument": "EUR_USD", "units": "10", "price": "1.05"}


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Client]:
    """A stepped venue on two pairs, ten quotes of each into the tape."""
    tapes = [write_tape(tmp_path, 400), write_tape(tmp_path, 400, "NZD_USD", 0.8)]
    async with serving(conductor(*tapes, clock=EventClock(1))) as client:
        await client.advance(20)
        yield client


async def rows(venue: Client, since: int = 0) -> list[dict[str, Any]]:
    """Transactions after `since`."""
    _, found = await venue.call("GET", "A/transactions/sinceid", id=since)
    listed: list[dict[str, Any]] = found["transactions"]
    return listed


async def test_a_reposted_market_id_fills_again(venue: Client) -> None:
    for _ in range(2):
        status, made = await venue.market(clientExtensions={"id": "same"})
        assert (status, "orderFillTransaction" in made) == (201, True)
    fills = [row for row in await rows(venue) if row["type"] == "ORDER_FILL"]
    assert [row["clientOrderID"] for row in fills] == ["same", "same"]


async def test_an_order_by_client_id_is_found_only_while_it_is_pending(venue: Client) -> None:
    order = {**LIMIT, "clientExtensions": {"id": "me"}}
    await venue.call("POST", "A/orders", {"order": order})
    for at in ("@", "%40"):
        url = URL(f"{venue.account}/orders/{at}me", encoded=True)
        async with venue.http.get(url, headers=venue.headers) as response:
            assert response.status == 200
    await venue.call("PUT", "A/orders/@me/cancel")
    status, error = await venue.call("GET", "A/orders/@me")
    assert (status, error["errorCode"]) == (404, "NO_SUCH_ORDER")
    status, error = await venue.call("GET", "A/orders/4711")
    assert (status, error["errorCode"]) == (404, "NO_SUCH_ORDER")


async def test_a_flat_position_is_listed_and_one_never_traded_is_not_found(venue: Client) -> None:
    await venue.market()
    await venue.call("PUT", "A/positions/EUR_USD/close", {"longUnits": "ALL"})
    status, found = await venue.call("GET", "A/positions/EUR_USD")
    assert (status, found["position"]["long"]["units"]) == (200, "0")
    _, found = await venue.call("GET", "A/positions")
    assert [item["instrument"] for item in found["positions"]] == ["EUR_USD"]
    status, error = await venue.call("GET", "A/positions/NZD_USD")
    assert (status, error["errorCode"]) == (404, "NO_SUCH_POSITION")


async def test_ids_are_consecutive_and_orders_and_trades_bear_those_of_their_rows(
    venue: Client,
) -> None:
    await venue.market("0")
    _, made = await venue.market(stopLossOnFill={"price": "1.0"})
    found = await rows(venue)
    assert [int(row["id"]) for row in found] == list(range(1, len(found) + 1))
    fill = made["orderFillTransaction"]
    assert fill["orderID"] == made["orderCreateTransaction"]["id"]
    assert fill["tradeOpened"]["tradeID"] == fill["id"]
    assert {row["batchID"] for row in found[3:]} == {fill["orderID"]}
    assert made["relatedTransactionIDs"] == [row["id"] for row in found[3:]]
    assert "stopLossOrderTransaction" not in made
    assert made["lastTransactionID"] == found[-1]["id"]


async def test_where_the_client_id_stands(venue: Client) -> None:
    _, made = await venue.market(clientExtensions={"id": "me"})
    assert made["orderCreateTransaction"]["clientExtensions"] == {"id": "me"}
    assert "clientOrderID" not in made["orderCreateTransaction"]
    assert made["orderFillTransaction"]["clientOrderID"] == "me"
    assert "clientExtensions" not in made["orderFillTransaction"]
    _, made = await venue.market(clientExtensions={"id": "me"}, priceBound="1.0")
    assert made["orderCancelTransaction"]["clientOrderID"] == "me"


async def test_a_client_id_may_have_128_characters(venue: Client) -> None:
    assert (await venue.market(clientExtensions={"id": "x" * 128}))[0] == 201
    status, error = await venue.market(clientExtensions={"id": "x" * 129})
    assert (status, error["errorCode"]) == (400, "CLIENT_ORDER_ID_INVALID")


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "code"),
    [
        ("POST", "A/orders", {}, {"order": {**LIMIT, "instrument": "XXX_YYY"}}, "Invalid"),
        ("POST", "A/orders", {}, {"order": {**LIMIT, "units": "many"}}, "Invalid"),
        ("POST", "A/orders", {}, {"order": {"type": "MARKET", "units": "1"}}, "Missing"),
        ("POST", "A/orders", {}, {}, "Missing"),
        ("POST", "A/orders", {}, {"order": {**LIMIT, "guaranteedStopLossOnFill": {}}}, "Invalid"),
        ("GET", "A/pricing", {}, None, "Missing"),
        ("GET", "A/pricing", {"instruments": "XXX_YYY"}, None, "Invalid"),
        ("GET", "A/pricing/stream", {}, None, "Missing"),
        ("GET", "A/transactions/sinceid", {}, None, "Missing"),
        ("GET", "A/orders", {"count": "501"}, None, "Invalid"),
        ("GET", "/v3/instruments/XXX_YYY/candles", {}, None, "Invalid"),
        ("GET", "/v3/instruments/EUR_USD/candles", {"granularity": "M3"}, None, "Invalid"),
    ],
)
async def test_a_bad_parameter_makes_no_transaction(
    venue: Client, method: str, path: str, query: dict[str, str], body: Any, code: str
) -> None:
    status, error = await venue.call(method, path, body, **query)
    assert status == 400
    assert error["errorCode"] == f"oanda::rest::core::{code}ParameterException"
    assert error["errorMessage"]
    assert len(await rows(venue)) == 2


async def test_a_rejected_order_says_the_same_reason_twice_and_takes_an_id(venue: Client) -> None:
    order = {**LIMIT, "price": "1.050001"}
    status, error = await venue.call("POST", "A/orders", {"order": order})
    row = error["orderRejectTransaction"]
    assert (status, row["rejectReason"]) == (400, "PRICE_PRECISION_EXCEEDED")
    assert error["errorCode"] == row["rejectReason"]
    assert error["relatedTransactionIDs"] == [row["id"]] == ["3"]
    assert error["errorMessage"]


async def test_too_few_units_keep_oandas_own_spelling(tmp_path: Path) -> None:
    venue = conductor(write_tape(tmp_path))
    rules = venue.engine.account.market.instruments
    rules["EUR_USD"] = structs.replace(rules["EUR_USD"], minimum_trade_size=Decimal(10))
    async with serving(venue) as client:
        await client.advance(1)
        assert (await client.market("9"))[1]["errorCode"] == "UNITS_MIMIMUM_NOT_MET"


async def test_a_refusal_at_fill_time_is_a_201(venue: Client) -> None:
    status, made = await venue.market("90000000")
    assert status == 201
    assert set(made) == {
        "orderCreateTransaction",
        "orderCancelTransaction",
        "relatedTransactionIDs",
        "lastTransactionID",
    }
    assert made["orderCancelTransaction"]["reason"] == "INSUFFICIENT_MARGIN"


async def test_cancelling_what_is_gone(venue: Client) -> None:
    _, made = await venue.call("POST", "A/orders", {"order": LIMIT})
    order_id = made["orderCreateTransaction"]["id"]
    url = f"{venue.account}/orders/{order_id}/cancel"
    # No body and no Content-Type, as v20 sends it.
    async with venue.http.put(url, headers=venue.headers) as response:
        assert response.status == 200
    for specifier in (order_id, "4711", "@nobody"):
        status, error = await venue.call("PUT", f"A/orders/{specifier}/cancel")
        assert (status, error["errorCode"]) == (404, "ORDER_DOESNT_EXIST")
        assert error["orderCancelRejectTransaction"]["type"] == "ORDER_CANCEL_REJECT"


async def test_closing_an_absent_side_or_a_flat_position(venue: Client) -> None:
    await venue.market()
    body = {"longUnits": "ALL", "shortUnits": "ALL"}
    status, error = await venue.call("PUT", "A/positions/EUR_USD/close", body)
    assert (status, error["errorCode"]) == (400, "CLOSEOUT_POSITION_DOESNT_EXIST")
    assert error["shortOrderRejectTransaction"]["rejectReason"] == error["errorCode"]
    url = f"{venue.account}/positions/EUR_USD/close"
    async with venue.http.put(url, headers=venue.headers) as response:
        assert response.status == 400
    async with venue.http.put(url, headers=venue.headers, json={"longUnits": "ALL"}) as response:
        assert response.status == 200
        assert "/orders/" in response.headers["Location"]
    status, error = await venue.call("PUT", "A/positions/EUR_USD/close", {"longUnits": "ALL"})
    assert (status, error["errorCode"]) == (404, "CLOSEOUT_POSITION_DOESNT_EXIST")


async def test_instruments_are_as_recorded(venue: Client) -> None:
    _, found = await venue.call("GET", "A/instruments", instruments="EUR_USD")
    item = found["instruments"][0]
    assert (item["pipLocation"], item["displayPrecision"], item["tradeUnitsPrecision"]) == (
        -4,
        5,
        0,
    )
    assert (item["minimumTradeSize"], item["maximumOrderUnits"]) == ("1", "100000000")
    assert item["maximumPositionSize"] == "0"
    assert item["minimumTrailingStopDistance"] == "0.00050"
    assert item["maximumTrailingStopDistance"] == "1.00000"


async def test_liquidity_is_a_number_in_prices_and_a_text_in_fills(venue: Client) -> None:
    _, found = await venue.call("GET", "A/pricing", instruments="EUR_USD")
    assert isinstance(found["prices"][0]["bids"][0]["liquidity"], int)
    _, made = await venue.market()
    full = made["orderFillTransaction"]["fullPrice"]
    assert isinstance(full["bids"][0]["liquidity"], str)
    assert "timestamp" in full
    assert "time" not in full


async def test_a_replacement_cancels_first_and_inherits_client_extensions(venue: Client) -> None:
    order = {**LIMIT, "clientExtensions": {"id": "me", "comment": "c"}}
    await venue.call("POST", "A/orders", {"order": order})
    status, made = await venue.call("PUT", "A/orders/@me", {"order": LIMIT})
    cancel, create = made["orderCancelTransaction"], made["orderCreateTransaction"]
    assert status == 201
    assert int(cancel["id"]) + 1 == int(create["id"])
    assert (cancel["reason"], create["reason"]) == ("CLIENT_REQUEST_REPLACED", "REPLACEMENT")
    assert create["replacesOrderID"] == cancel["orderID"]
    assert create["clientExtensions"] == order["clientExtensions"]


async def test_closes_are_reduce_only_market_orders_that_say_what_they_close(
    venue: Client,
) -> None:
    _, made = await venue.market()
    trade_id = made["orderFillTransaction"]["id"]
    _, closed = await venue.call("PUT", f"A/trades/{trade_id}/close", {"units": "4"})
    create = closed["orderCreateTransaction"]
    assert (create["timeInForce"], create["positionFill"]) == ("FOK", "REDUCE_ONLY")
    assert create["tradeClose"] == {"tradeID": trade_id, "units": "4"}
    assert (create["reason"], create["units"]) == ("TRADE_CLOSE", "-4")
    _, closed = await venue.call("PUT", "A/positions/EUR_USD/close", {"longUnits": "ALL"})
    create = closed["longOrderCreateTransaction"]
    assert create["longPositionCloseout"] == {"instrument": "EUR_USD", "units": "ALL"}
    assert (create["reason"], create["units"]) == ("POSITION_CLOSEOUT", "-6")


async def test_margin_figures_hang_together_as_recorded(venue: Client) -> None:
    await venue.market("200000")
    _, found = await venue.call("GET", "A/summary")
    item = {key: Decimal(text) for key, text in found["account"].items() if _is_decimal(text)}
    assert item["marginAvailable"] == item["NAV"] - item["marginUsed"]
    assert item["NAV"] == item["balance"] + item["unrealizedPL"]
    assert item["marginUsed"] == item["positionValue"] * Decimal("0.02")
    ratio = item["marginCallMarginUsed"] / item["marginCloseoutNAV"]
    assert item["marginCallPercent"] == ratio.quantize(Decimal("0.00001"))
    assert item["marginCloseoutPercent"] == (ratio / 2).quantize(Decimal("0.00001"))
    assert "marginRate" not in found["account"]


def _is_decimal(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?\d+\.\d+", value) is not None


async def test_since_gives_a_thousand_rows_at_most(venue: Client) -> None:
    account = venue.venue.engine.account
    for _ in range(1_500):
        account.begin()
        account.ledger.append("RESET_RESETTABLE_PL")
    found = await rows(venue, 10)
    assert [found[0]["id"], found[-1]["id"]] == ["11", "1010"]
    assert len(await rows(venue, 1_010)) == 492
    _, pages = await venue.call("GET", "A/transactions", pageSize=1_000)
    assert [page.partition("?")[2] for page in pages["pages"]] == [
        "from=1&to=1000",
        "from=1001&to=1502",
    ]


async def test_candles_refuse_too_many_and_the_future(venue: Client) -> None:
    path = "/v3/instruments/EUR_USD/candles"
    status, error = await venue.call("GET", path, count=5_001)
    assert (status, error["errorMessage"]) == (400, "Maximum value for 'count' exceeded")
    status, error = await venue.call("GET", path, to="2014-05-02T00:00:00Z")
    assert status == 400
    assert error["errorMessage"] == "Invalid value specified for 'to'. Time is in the future"
    span = {"from": "2014-04-01T00:00:00Z", "to": "2014-05-01T00:00:00Z"}
    status, error = await venue.call("GET", path, granularity="M1", **span)
    assert (status, error["errorMessage"]) == (400, "Maximum value for 'count' exceeded")
    status, _ = await venue.call("GET", path, granularity="H1", count=5, **span)
    assert status == 400


async def test_authorisation(venue: Client) -> None:
    async with venue.http.get("/v3/accounts", headers={"Authorization": "Bearer no"}) as response:
        assert response.status == 401
        message = (await response.json())["errorMessage"]
        assert message == "Insufficient authorization to perform request."
    status, error = await venue.call("GET", "/v3/accounts/101-001-9-001/summary")
    assert (status, error["errorMessage"]) == (403, "The provided request was forbidden.")


async def test_query_booleans_and_lists_as_clients_spell_them(venue: Client) -> None:
    url = f"{venue.account}/pricing?instruments=EUR_USD%2CNZD_USD&includeHomeConversions=True"
    async with venue.http.get(URL(url, encoded=True), headers=venue.headers) as response:
        found = json.loads(await response.read())
    assert len(found["prices"]) == 2
    assert found["homeConversions"]
    status, _ = await venue.call("GET", "A/pricing", instruments="EUR_USD", since="0")
    assert status == 200


async def test_numbers_are_taken_where_texts_are_meant(venue: Client) -> None:
    order = {"type": "MARKET", "instrument": "EUR_USD", "units": 10, "priceBound": 1.2}
    order["takeProfitOnFill"] = {"price": 1.3}
    status, made = await venue.call("POST", "A/orders", {"order": order})
    assert (status, made["orderCreateTransaction"]["priceBound"]) == (201, "1.20000")


async def test_no_decimal_is_ever_empty(venue: Client) -> None:
    await venue.market(stopLossOnFill={"price": "1.0"})
    for path in ("A", "A/instruments", "A/trades", "A/orders", "A/positions"):
        _, found = await venue.call("GET", path)
        assert '""' not in json.dumps(found)
    assert '""' not in json.dumps(await rows(venue))


async def test_streams_are_chunked_and_have_no_blank_line(venue: Client) -> None:
    for kind in ("pricing", "transactions"):
        url = f"{venue.account}/{kind}/stream"
        params = {"instruments": "EUR_USD"}
        async with venue.http.get(url, headers=venue.headers, params=params) as response:
            assert response.headers["Transfer-Encoding"] == "chunked"
            assert (await response.content.readline()).startswith(b"{")


async def test_unix_times_in_answers_and_requests(venue: Client) -> None:
    headers = {**venue.headers, "Accept-Datetime-Format": "UNIX"}
    url = f"{venue.account}/pricing"
    params = {"instruments": "EUR_USD", "since": "1398902400.500000000"}
    async with venue.http.get(url, headers=headers, params=params) as response:
        found = json.loads(await response.read())
    assert found["time"] == "1398902409.000000000"
    assert found["prices"][0]["time"] == "1398902409.000000000"


async def test_finished_orders_are_listed_by_state_and_pages_are_linked(venue: Client) -> None:
    for _ in range(3):
        await venue.market()
    _, found = await venue.call("GET", "A/orders")
    assert found["orders"] == []
    url = f"{venue.account}/orders"
    params = {"state": "FILLED", "count": "2"}
    async with venue.http.get(url, headers=venue.headers, params=params) as response:
        assert [item["id"] for item in (await response.json())["orders"]] == ["7", "5"]
        assert 'rel="next"' in response.headers["Link"]
        following = response.links["next"]["url"]
    async with venue.http.get(URL(following).relative(), headers=venue.headers) as response:
        assert [item["id"] for item in (await response.json())["orders"]] == ["3"]
        assert "Link" not in response.headers


async def test_the_same_requests_on_the_same_tape_have_the_same_answers(tmp_path: Path) -> None:
    tape = write_tape(tmp_path, 300)
    told = []
    for _ in range(2):
        async with serving(conductor(tape, config=VenueConfig(hedging=True))) as client:
            answers = []
            for step in range(1, 12):
                await client.advance(step)
                units = str((-1) ** step * step * 7)
                answers.append(await client.market(units, stopLossOnFill={"distance": "0.0012"}))
                answers.append(await client.call("GET", "A"))
            answers.append(await client.call("GET", "A/transactions/sinceid", id=0))
            told.append(json.dumps(answers))
    assert told[0] == told[1]
