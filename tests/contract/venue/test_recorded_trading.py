"""What was recorded of trading at OANDA: ids, orders, closes, refusals, margin; a test for each."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import structs
from yarl import URL

from tests.support.venue_app import Client, conductor, serving
from tests.support.venue_process import write_tape

LIMIT = {"type": "LIMIT", "instrument": "EUR_USD", "units": "10", "price": "1.05"}


async def test_a_reposted_market_id_fills_again(venue: Client) -> None:
    for _ in range(2):
        status, made = await venue.market(clientExtensions={"id": "same"})
        assert (status, "orderFillTransaction" in made) == (201, True)
    fills = [row for row in await venue.rows() if row["type"] == "ORDER_FILL"]
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
    found = await venue.rows()
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
