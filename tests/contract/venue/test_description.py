"""Every answer of the venue against OANDA's own API description (Swagger 3.0.25 of 2018)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from sepd.venue import views
from sepd.venue.config import FinancingRates, VenueConfig
from tests.contract.venue.description import Checker, Description
from tests.support.desk import make_desk
from tests.support.venue_process import running, write_tape


@pytest.fixture(scope="module")
def description(sepd_data: Path) -> dict[str, Any]:
    """The official description."""
    found: dict[str, Any] = json.loads((sepd_data / "oanda-v20.json").read_text())
    return found


@pytest.fixture(scope="module")
def required(sepd_data: Path) -> set[tuple[str, str]]:
    """Method and path of every call that the venue must serve."""
    rows = (sepd_data / "oanda_endpoints.tsv").read_text().splitlines()[1:]
    return {(row.split("\t")[0], row.split("\t")[1]) for row in rows if row.endswith("y")}


@pytest.fixture
async def checker(tmp_path: Path, description: dict[str, Any]) -> AsyncIterator[Checker]:
    """A stepped venue two minutes into its tape, and a checking client."""
    with running("--tape", str(write_tape(tmp_path)), "--speed", "step") as venue:
        async with venue.session() as session:
            url = f"{venue.url}/v3/venue/advance"
            async with session.post(url, json={"quotes": 120}) as response:
                assert response.status == 200
            yield Checker(venue, session, description)


async def test_every_call_answers_as_described(
    checker: Checker, required: set[tuple[str, str]]
) -> None:
    call = checker.call
    await read_account(call)
    order_id = await work_orders(call)
    trade_id = await work_trades(call)
    await work_positions(call)
    await read_history(call, order_id, trade_id)
    await refusals(call)
    await streams(checker)
    assert sorted(set(checker.description.faults)) == []
    assert required - checker.called == set()


async def read_account(call: Any) -> None:
    """Account, instruments, prices, candles."""
    assert (await call("GET", "accounts"))["accounts"]
    for path in ("A/", "A/summary", "A/instruments"):
        await call("GET", path)
    await call("PATCH", "A/configuration", {"alias": "checked"})
    await call("GET", "A/changes", sinceTransactionID=1)
    found = await call(
        "GET",
        "A/pricing",
        instruments="EUR_USD",
        includeUnitsAvailable="true",
        includeHomeConversions="True",
    )
    assert "lastTransactionID" not in found
    for granularity in ("S5", "M1"):
        found = await call(
            "GET", "instruments/EUR_USD/candles", price="MBA", granularity=granularity
        )
        assert [candle["complete"] for candle in found["candles"]][-1] is False


async def work_orders(call: Any) -> str:
    """Every type of order made, read, changed, replaced and cancelled; the id of one."""
    base = {"instrument": "EUR_USD", "units": "10", "clientExtensions": {"id": "one", "tag": "t"}}
    last = ""
    for kind, price in (("LIMIT", "1.0"), ("STOP", "1.3"), ("MARKET_IF_TOUCHED", "1.4")):
        order = {**base, "type": kind, "price": price, "tradeClientExtensions": {"id": kind}}
        order |= {"stopLossOnFill": {"price": "0.9"}, "trailingStopLossOnFill": {"distance": "0.1"}}
        made = await call("POST", "A/orders", {"order": order}, 201)
        assert "orderFillTransaction" not in made
        await call("GET", "A/orders/@one")
        changed = {"clientExtensions": {"comment": "c"}}
        await call("PUT", "A/orders/@one/clientExtensions", changed)
        replaced = await call("PUT", "A/orders/@one", {"order": {**order, "units": "20"}}, 201)
        last = replaced["orderCreateTransaction"]["id"]
        for path in ("A/orders", "A/pendingOrders"):
            assert (await call("GET", path))["orders"][0]["id"] == last
        await call("PUT", f"A/orders/{last}/cancel")
    for state in ("ALL", "CANCELLED", "FILLED"):
        await call("GET", "A/orders", state=state, count=3)
    return last


async def work_trades(call: Any) -> str:
    """A guarded trade opened, read, changed, closed in parts; its id."""
    order = {
        "type": "MARKET",
        "instrument": "EUR_USD",
        "units": 100,
        "takeProfitOnFill": {"price": 1.9},
        "stopLossOnFill": {"price": "0.9"},
        "trailingStopLossOnFill": {"distance": "0.2"},
        "tradeClientExtensions": {"id": "mine"},
    }
    made = await call("POST", "A/orders", {"order": order}, 201)
    trade_id: str = made["orderFillTransaction"]["tradeOpened"]["tradeID"]
    await call("GET", "A/orders", state="PENDING")
    for path in ("A/", "A/trades", "A/openTrades", "A/trades/@mine"):
        await call("GET", path)
    await call("PUT", f"A/trades/{trade_id}/clientExtensions", {"clientExtensions": {"tag": "x"}})
    guards = {"takeProfit": {"price": "1.8"}, "stopLoss": None, "trailingStopLoss": {}}
    await call("PUT", f"A/trades/{trade_id}/orders", guards)
    await call("GET", "A/changes", sinceTransactionID=1)
    await call("PUT", f"A/trades/{trade_id}/close", {"units": "40"})
    await call("PUT", f"A/trades/{trade_id}/close", {})
    await call("GET", "A/trades", state="CLOSED")
    return trade_id


async def work_positions(call: Any) -> None:
    """A position opened, read and closed."""
    order = {"type": "MARKET", "instrument": "EUR_USD", "units": "-100"}
    await call("POST", "A/orders", {"order": order}, 201)
    for path in ("A/positions", "A/openPositions", "A/positions/EUR_USD", "A/"):
        await call("GET", path)
    body = {"shortUnits": "ALL", "shortClientExtensions": {"comment": "out"}}
    await call("PUT", "A/positions/EUR_USD/close", body)


async def read_history(call: Any, order_id: str, trade_id: str) -> None:
    """Finished things, and transactions each way."""
    await call("GET", f"A/orders/{order_id}")
    await call("GET", f"A/trades/{trade_id}")
    await call("GET", f"A/transactions/{order_id}")
    await call("GET", "A/transactions", pageSize=3)
    await call("GET", "A/transactions/idrange", **{"from": 1, "to": 1000})
    await call("GET", "A/transactions/sinceid", id=1)
    await call("GET", "A/changes", sinceTransactionID=1)


async def refusals(call: Any) -> None:
    """Errors are described too."""
    order = {"type": "MARKET", "instrument": "EUR_USD", "units": "0"}
    await call("POST", "A/orders", {"order": order}, 400)
    await call("POST", "A/orders", {"order": {**order, "instrument": "XXX_YYY"}}, 400)
    stop = {"type": "STOP_LOSS", "tradeID": "99999", "price": "1.0"}
    await call("POST", "A/orders", {"order": stop}, 404)
    await call("GET", "A/orders/@nobody", status=404)
    await call("PUT", "A/orders/99999/cancel", status=404)
    limit = {**order, "type": "LIMIT", "units": "1", "price": "1.0"}
    await call("PUT", "A/orders/99999", {"order": limit}, 404)
    await call("PUT", "A/orders/99999/clientExtensions", {"clientExtensions": {"id": "x"}}, 404)
    await call("PUT", "A/trades/99999/close", {}, 404)
    await call("PUT", "A/trades/99999/clientExtensions", {"clientExtensions": {"id": "x"}}, 404)
    await call("PUT", "A/positions/EUR_USD/close", {"longUnits": "ALL"}, 404)
    await call("PUT", "A/positions/EUR_USD/close", {}, 404)
    await call("GET", "A/changes", status=416, sinceTransactionID=10_000)
    await call("GET", "A/transactions/sinceid", status=416, id=10_000)


async def streams(checker: Checker) -> None:
    """The first line of each stream."""
    definitions = checker.described["definitions"]
    for path, name in (("pricing", "ClientPrice"), ("transactions", "TransactionHeartbeat")):
        url = f"{checker.venue.account}/{path}/stream"
        async with checker.session.get(url, params={"instruments": "EUR_USD"}) as response:
            first = json.loads(await response.content.readline())
        full = {"$ref": f"#/definitions/{name}", "definitions": definitions}
        assert list(Draft4Validator(full).iter_errors(first)) == []
        assert set(first) <= set(definitions[name]["properties"])
        template = f"/v3/accounts/{{accountID}}/{path}/stream"
        checker.called.add(("GET", template))


def test_rows_that_time_and_prices_make_are_as_described(description: dict[str, Any]) -> None:
    rates = FinancingRates(Decimal("-0.02"), Decimal("0.01"))
    desk = make_desk(VenueConfig(balance=Decimal(2_300), financing={"EUR_USD": rates}))
    desk.order("100000", trailingStopLossOnFill={"distance": "0.5"})
    desk.order("10", "LIMIT", price="1.0", timeInForce="GFD")
    desk.time_ns += 86_400_000_000_000
    desk.quote(109_880, 109_890)
    desk.quote(109_860, 109_870)
    desk.quote(110_500, 110_510)
    desk.quote(108_000, 108_010)
    desk.engine.configure(None, Decimal(5))
    rows = desk.account.ledger.rows
    kinds = {row["type"] for row in rows}
    assert kinds >= {"DAILY_FINANCING", "MARGIN_CALL_ENTER", "MARGIN_CALL_EXIT", "ORDER_CANCEL"}
    assert "MARGIN_CLOSEOUT" in {row.get("reason") for row in rows}
    checked = Description(description)
    checked.check(rows, {"type": "array", "items": {"$ref": "#/definitions/Transaction"}}, "rows")
    checked.check(views.account_view(desk.account), {"$ref": "#/definitions/Account"}, "account")
    assert sorted(set(checked.faults)) == []
