"""What the network and the broker do to streams, and what the client makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from sepd.broker.oanda import OandaBroker
from sepd.domain.account import OtherTransaction, TransactionHeartbeat
from sepd.domain.market import Heartbeat, Quote
from sepd.errors import BrokerRejected, ConfigError, SepdError, TransientError
from tests.support.oanda import (
    NOON,
    A,
    S,
    ScriptedOanda,
    connected,
    heartbeat,
    price,
    row,
    serving,
    streaming,
)
from tests.support.proxy import cutting

PRICES = f"{A}/pricing/stream"
TRANSACTIONS = f"{A}/transactions/stream"
QUOTE = Quote("EUR_USD", NOON, 110_000, 110_010)


async def until_broken[T](
    stream: AsyncIterator[T], each: Callable[[], None] = lambda: None
) -> tuple[list[T], str]:
    """What a stream brings until it breaks, and the sentence it breaks with."""
    found: list[T] = []
    try:
        async for item in stream:
            found.append(item)
            each()
    except TransientError as error:
        return found, str(error)
    pytest.fail("the stream ended as if all were well")


async def items(
    broker: OandaBroker, each: Callable[[], None] = lambda: None
) -> tuple[list[Quote | Heartbeat], str]:
    """What the price stream brings until it breaks, and the sentence it breaks with."""
    batches, words = await until_broken(broker.stream_prices(["EUR_USD"]), each)
    return [item for batch in batches for item in batch.items], words


async def test_the_broker_ends_the_stream() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("GET", PRICES, streaming(price(), heartbeat(NOON + S)))
        assert await items(broker) == (
            [QUOTE, Heartbeat(NOON + S)],
            "The broker ended the price stream.",
        )


async def test_a_silent_stream_is_dead() -> None:
    hold = asyncio.Event()
    async with (
        serving(ScriptedOanda()) as oanda,
        connected(oanda.url, silence_s=0.2) as broker,
    ):
        oanda.does("GET", PRICES, streaming(price(), hold=hold))
        assert await items(broker) == ([QUOTE], "The stream has been silent for 0.2 s.")
        hold.set()


async def test_bytes_that_never_become_a_line_are_silence() -> None:
    async def trickle(request: Any) -> Any:
        response = await streaming(price())(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    async with (
        serving(ScriptedOanda()) as oanda,
        connected(oanda.url, silence_s=0.2) as broker,
    ):
        oanda.does("GET", PRICES, trickle)
        assert await items(broker) == ([QUOTE], "The stream has been silent for 0.2 s.")


async def test_a_half_open_connection_is_silence() -> None:
    hold = asyncio.Event()
    async with (
        serving(ScriptedOanda()) as oanda,
        cutting(oanda.url) as proxy,
        connected(proxy.url, silence_s=0.3) as broker,
    ):
        oanda.does("GET", PRICES, streaming(price(), hold=hold))
        found, words = await items(broker, proxy.freeze)
        assert found == [QUOTE]
        assert "silent" in words
        hold.set()


async def test_a_reset_in_the_middle_of_a_line() -> None:
    whole = msgspec.json.encode(price()) + b"\n"
    hold = asyncio.Event()
    async with (
        serving(ScriptedOanda()) as oanda,
        cutting(oanda.url) as proxy,
        connected(proxy.url) as broker,
    ):
        oanda.does("GET", PRICES, streaming(whole, whole[:40], hold=hold))
        found, words = await items(broker, proxy.cut)
        assert found == [QUOTE]
        assert words.startswith("streaming prices: Client")
        assert broker.counts.corrupt == 0
        hold.set()


async def test_doubled_and_empty_lines_do_no_harm() -> None:
    whole = msgspec.json.encode(price()) + b"\n"
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("GET", PRICES, streaming(whole, whole, b"\n", whole))
        found, _ = await items(broker)
    assert found == [QUOTE] * 3
    assert broker.counts.corrupt == 0


@pytest.mark.parametrize("junk", [msgspec.json.encode(price())[:50], b"\x00\xff", b"<html>"])
async def test_an_unreadable_line_ends_the_stream(junk: bytes) -> None:
    """It may have been the only quote of its candle: only a repair can tell."""
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("GET", PRICES, streaming(price(), junk + b"\n", price(NOON + 1)))
        _, words = await items(broker)
    assert words == "The price stream sends unreadable lines."
    assert broker.counts.corrupt == 1


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {}, ConfigError),
        (400, {"errorMessage": "Invalid value specified for 'instruments'"}, BrokerRejected),
        (503, {}, TransientError),
        (429, {}, TransientError),
    ],
)
async def test_a_stream_that_is_not_given(status: int, body: Any, error: type[SepdError]) -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.on("GET", PRICES, body, status)
        with pytest.raises(error):
            await anext(broker.stream_prices(["EUR_USD"]))


async def test_transactions_come_with_heartbeats_after_word_of_the_connection() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does(
            "GET", TRANSACTIONS, streaming(row(7), heartbeat(NOON, lastTransactionID="7"), row(8))
        )
        batches, words = await until_broken(broker.stream_transactions())
    assert words == "The broker ended the transaction stream."
    assert batches[0] == ()
    assert [event for batch in batches for event in batch] == [
        OtherTransaction(7, NOON + 7, "CLIENT_CONFIGURE"),
        TransactionHeartbeat(NOON, 7),
        OtherTransaction(8, NOON + 8, "CLIENT_CONFIGURE"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":"8","ty\n',
        b"<html>\n",
        b"\xff\n",
        b'{"id":"8","type":"ORDER_FILL","time":"2017-03-15T12:00:00Z"}\n',
    ],
)
async def test_one_transaction_line_that_cannot_be_used_ends_the_stream(line: bytes) -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("GET", TRANSACTIONS, streaming(row(7), line, row(9)))
        batches, words = await until_broken(broker.stream_transactions())
    assert words.startswith("streaming transactions: ")
    later = OtherTransaction(9, NOON + 9, "CLIENT_CONFIGURE")
    assert later not in [event for batch in batches for event in batch]


async def test_a_storm_of_reconnects_keeps_to_two_connections_a_second() -> None:
    async with (
        serving(ScriptedOanda()) as oanda,
        cutting(oanda.url) as proxy,
        connected(proxy.url) as broker,
    ):
        proxy.refuse = True
        proxy.cut()
        while len(proxy.opened_s) < 5:
            assert (await items(broker))[0] == []
    for start in proxy.opened_s:
        assert sum(start <= at < start + 1 for at in proxy.opened_s) <= 2


async def test_the_clock_offset_is_measured_from_heartbeats() -> None:
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        late = broker._clock.now_ns() - 3 * S
        oanda.does("GET", PRICES, streaming(heartbeat(late)))
        await items(broker)
        assert (broker.offset.offset_ns or 0) <= -3 * S


async def test_a_tape_says_nothing_about_clocks() -> None:
    async with (
        serving(ScriptedOanda()) as oanda,
        connected(oanda.url, paced=True) as broker,
    ):
        oanda.does("GET", PRICES, streaming(heartbeat()))
        await items(broker)
        assert broker.offset.offset_ns is None


async def test_leaving_a_stream_closes_its_connection() -> None:
    hold = asyncio.Event()
    async with serving(ScriptedOanda()) as oanda, connected(oanda.url) as broker:
        oanda.does("GET", PRICES, streaming(price(), hold=hold))
        stream = broker.stream_prices(["EUR_USD"])
        assert (await anext(stream)).items == (QUOTE,)
        await stream.aclose()  # type: ignore[attr-defined]
        assert broker._channel.rest._session is not None
        connector = broker._channel.rest._session.connector
        assert connector is not None
        assert not connector._acquired
        hold.set()
