"""The client's calls, over real HTTP against a scripted server."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec
import pytest
from aiohttp import web

from sepd.domain.market import Candle, Granularity, Quote
from sepd.domain.order import Done, Refused, Unsent
from sepd.domain.time import format_time
from sepd.errors import TransientError
from tests.support.oanda import (
    FILL,
    FILLED,
    NOON,
    A,
    S,
    ScriptedOanda,
    connected,
    entry,
    heartbeat,
    leave,
    price,
    row,
    serving,
    streaming,
)
from tests.support.proxy import cutting
from tests.support.virtual import run_virtually


async def test_an_entry_carries_its_id_twice_and_its_protection() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.on("POST", f"{A}/orders", FILLED, 201)
        outcome = await broker.place(entry())
    assert isinstance(outcome, Done)
    assert outcome.last_transaction_id == 10
    assert [event.transaction_id for event in outcome.events] == [7, 8]
    assert msgspec.json.decode(oanda.requests[-1][3]) == {
        "order": {
            "type": "MARKET",
            "instrument": "EUR_USD",
            "units": "1000",
            "timeInForce": "FOK",
            "positionFill": "DEFAULT",
            "priceBound": "1.10060",
            "clientExtensions": {"id": "sepd-entry"},
            "tradeClientExtensions": {"id": "sepd-entry"},
            "stopLossOnFill": {"price": "1.09710", "timeInForce": "GTC"},
            "takeProfitOnFill": {"price": "1.10460", "timeInForce": "GTC"},
        }
    }


async def test_an_exit_closes_its_trade_and_its_rows_get_its_id() -> None:
    order = row(
        11,
        "MARKET_ORDER",
        instrument="EUR_USD",
        units="-1000",
        reason="TRADE_CLOSE",
        tradeClose={"tradeID": "8", "units": "1000"},
    )
    part = {"tradeID": "8", "units": "-1000", "price": "1.10100", "realizedPL": "0.9000"}
    fill = {**FILL, "id": "12", "orderID": "11", "units": "-1000", "tradesClosed": [part]}
    del fill["tradeOpened"], fill["clientOrderID"]
    reply = {
        "orderCreateTransaction": order,
        "orderFillTransaction": fill,
        "lastTransactionID": "12",
    }
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.on("PUT", f"{A}/trades/8/close", reply)
        outcome = await broker.place(leave())
        assert oanda.requests[-1][3] == b'{"units":"1000"}'
        await broker.place(leave(units=Decimal(0)))
        assert oanda.requests[-1][3] == b'{"units":"ALL"}'
    assert isinstance(outcome, Done)
    assert [getattr(event, "client_order_id", None) for event in outcome.events] == [
        "sepd-exit",
        "sepd-exit",
    ]


async def test_candles_are_paged_without_a_to_and_incomplete_ones_left_out() -> None:
    def candles(first: int, count: int, last_complete: bool = True) -> dict[str, object]:
        side = {"o": "1.1", "h": "1.2", "l": "1.05", "c": "1.15000"}
        return {
            "candles": [
                {
                    "time": format_time(NOON + (first + i) * 60 * S),
                    "complete": last_complete or i < count - 1,
                    "volume": 3,
                    "bid": side,
                    "ask": side,
                }
                for i in range(count)
            ]
        }

    path = "/v3/instruments/EUR_USD/candles"
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.on("GET", path, candles(0, 5000))
        oanda.on("GET", path, candles(5000, 1001, last_complete=False))
        found = await broker.candles("EUR_USD", Granularity.M1, NOON, NOON + 8000 * 60 * S)
    assert [candle.time_ns for candle in found] == [NOON + i * 60 * S for i in range(6000)]
    assert found[0] == Candle(
        "EUR_USD", Granularity.M1, NOON, *(110_000, 120_000, 105_000, 115_000) * 2, 3
    )
    asked = [request[2] for request in oanda.requests[-2:]]
    assert [page["count"] for page in asked] == ["5000", "3001"]
    assert asked[1]["from"] == format_time(NOON + 5000 * 60 * S)
    assert "to" not in asked[0]


async def test_transactions_are_read_until_the_newest() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        path = f"{A}/transactions/sinceid"
        oanda.on("GET", path, {"transactions": [row(7), row(8)], "lastTransactionID": "9"})
        oanda.on("GET", path, {"transactions": [row(9)], "lastTransactionID": "9"})
        found = await broker.transactions_since(6)
    assert [event.transaction_id for event in found] == [7, 8, 9]
    assert [request[2]["id"] for request in oanda.requests[-2:]] == ["6", "8"]


async def test_a_row_that_appears_late_is_waited_for() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        path = f"{A}/transactions/sinceid"
        oanda.on("GET", path, {"transactions": [row(7), row(9)], "lastTransactionID": "9"})
        oanda.on("GET", path, {"transactions": [row(9)], "lastTransactionID": "9"})
        oanda.on("GET", path, {"transactions": [row(8), row(9)], "lastTransactionID": "9"})
        found = await broker.transactions_since(6)
    assert [event.transaction_id for event in found] == [7, 8, 9]


async def test_a_paced_tape_is_split_at_tokens_and_ends_cleanly() -> None:
    async with (
        serving(ScriptedOanda()) as oanda,
        connected(oanda.url, paced=True) as broker,
    ):
        lines = (
            price(NOON),
            price(NOON + 1, bid="1.1", token="1", afterTransaction="6"),
            price(NOON + 2, afterTransaction="7"),
            price(NOON + 3, afterTransaction="7"),
            heartbeat(NOON + 4, token="2", tapeEnd=True),
        )
        oanda.does("GET", f"{A}/pricing/stream", streaming(*lines))
        oanda.on("POST", "/v3/venue/acknowledge", {})
        batches = []
        async for batch in broker.stream_prices(["EUR_USD"]):
            batches.append(batch)
            if batch.token is not None:
                await broker.acknowledge(batch.token)
    assert [(len(b.items), b.after_transaction, b.token) for b in batches] == [
        (1, None, None),
        (1, 6, "1"),
        (3, 7, "2"),
    ]
    assert batches[1].items == (Quote("EUR_USD", NOON + 1, 110_000, 110_010),)
    streams = [request[2] for request in oanda.requests if request[1].endswith("stream")]
    assert streams == [{"instruments": "EUR_USD", "paced": "true"}]
    assert oanda.requests[-1][3] == b'{"token":"2"}'


async def test_cancelling_a_finished_order_is_refused() -> None:
    reject = row(9, "ORDER_CANCEL_REJECT", orderID="3", rejectReason="ORDER_DOESNT_EXIST")
    body = {
        "orderCancelRejectTransaction": reject,
        "lastTransactionID": "9",
        "errorCode": "ORDER_DOESNT_EXIST",
        "errorMessage": "The Order specified does not exist",
    }
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.on("PUT", f"{A}/orders/3/cancel", body, 404)
        outcome = await broker.cancel(3)
    assert isinstance(outcome, Refused)
    assert (outcome.reason, len(outcome.events)) == ("ORDER_DOESNT_EXIST", 1)


@pytest.mark.parametrize("number", ["1.10000", 1.1])
async def test_prices_may_be_strings_or_numbers(number: object) -> None:
    line = price()
    line["bids"] = [{"price": number}]
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.on("GET", f"{A}/pricing", {"prices": [line]})
        quotes = await broker.quotes(["EUR_USD"])
    assert quotes == [Quote("EUR_USD", NOON, 110_000, 110_010)]


async def test_closing_twice_is_closing_once_and_nothing_is_sent_after() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        await broker.close()
        await broker.close()
        sent = len(oanda.requests)
        with pytest.raises(TransientError, match="closed"):
            await broker.quotes(["EUR_USD"])
        with pytest.raises(TransientError, match="closed"):
            await anext(broker.stream_prices(["EUR_USD"]))
        assert isinstance(await broker.place(entry()), Unsent)
        assert len(oanda.requests) == sent


async def test_opening_twice_keeps_one_session() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        session = broker._channel.rest._session
        await broker.open()
        assert broker._channel.rest._session is session


async def test_an_exit_without_a_connection_does_not_wait_behind_reads() -> None:
    arrived, hold = asyncio.Semaphore(0), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        arrived.release()
        await hold.wait()
        return web.json_response({"prices": []})

    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("GET", f"{A}/pricing", slow)
        oanda.on("PUT", f"{A}/trades/8/close", FILLED)
        async with asyncio.TaskGroup() as reading:
            for _ in range(8):
                reading.create_task(broker.quotes(["EUR_USD"]))
            for _ in range(2):
                await arrived.acquire()
            assert isinstance(await broker.place(leave()), Done)
            reads = sum(path.endswith("/pricing") for _, path, _, _ in oanda.requests)
            hold.set()
    assert reads < 8


def test_the_connections_that_a_burst_asked_for_are_there_for_the_next() -> None:
    """Whoever finds none kept opens one in its turn, even if one came free while it waited."""

    async def bursts() -> list[int]:
        async with (
            serving(ScriptedOanda()) as oanda,
            cutting(oanda.url) as proxy,
            connected(proxy.url) as broker,
        ):
            opened = []
            for _ in range(2):
                await asyncio.gather(*(broker.cancel(8) for _ in range(4)))
                opened.append(len(proxy.opened_s))
            return opened

    assert run_virtually(bursts()) == [4, 4]
