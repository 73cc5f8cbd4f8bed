"""What was recorded of OANDA's calls, and what clients in use need of them; a test for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from sepd.venue.config import VenueConfig
from tests.support.venue_app import Client, conductor, serving
from tests.support.venue_process import write_tape

LIMIT = {"type": "LIMIT", "instrument": "EUR_USD", "units": "10", "price": "1.05"}


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
    assert len(await venue.rows()) == 2


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


async def test_since_gives_a_thousand_rows_at_most(venue: Client) -> None:
    account = venue.venue.engine.account
    for _ in range(1_500):
        account.begin()
        account.ledger.append("RESET_RESETTABLE_PL")
    found = await venue.rows(10)
    assert [found[0]["id"], found[-1]["id"]] == ["11", "1010"]
    assert len(await venue.rows(1_010)) == 492
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
    assert '""' not in json.dumps(await venue.rows())


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
