"""The client against the practice venue as a process of its own: the `Broker` port, kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from sepd.broker.oanda import OandaBroker
from sepd.domain.account import (
    AccountEvent,
    BalanceChanged,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    TransactionHeartbeat,
)
from sepd.domain.market import Candle, Granularity, Heartbeat, Quote
from sepd.domain.order import Ambiguous, Done, OrderIntent, Refused
from sepd.ports import Broker
from tests.support.oanda import entry, leave
from tests.support.proxy import cutting
from tests.support.venue import Venue, client, venue, write_ticks

S = 1_000_000_000
START = 1_489_579_200 * S
BIDS = (110_000, 110_030, 109_990, 110_010)


def bid_at(number: int) -> int:
    """Bid in points of the tape's tick of that number."""
    return BIDS[number % 4] + number // 4


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes of EUR_USD, a tick every five seconds, spread ten points."""
    rows = [
        (START + number * 5 * S, f"{bid / 1e5:.5f}", f"{(bid + 10) / 1e5:.5f}")
        for number, bid in enumerate(map(bid_at, range(120)))
    ]
    return write_ticks(tmp_path_factory.mktemp("tape") / "EUR_USD.tick.csv", rows)


@pytest.fixture
async def stepped(tape: Path) -> AsyncIterator[Venue]:
    """A venue whose tape moves when told; thirteen quotes have been played."""
    async with venue("--tape", str(tape), "--speed", "step") as running:
        await running.advance(13)
        yield running


@pytest.fixture
async def broker(stepped: Venue) -> AsyncIterator[OandaBroker]:
    async with client(stepped.settings()) as one:
        yield one


def order(broker: Broker, **fields: object) -> OrderIntent:
    return entry(account_id=broker.account_id, **fields)


async def test_it_names_the_instrument_of_its_tape(broker: Broker) -> None:
    instrument = (await broker.instruments())["EUR_USD"]
    assert (instrument.display_precision, instrument.pip_location) == (5, -4)


async def test_a_fresh_account_is_flat(broker: Broker) -> None:
    account = await broker.account()
    assert account.account_id == broker.account_id
    assert account.balance == account.nav == Decimal(100_000)
    assert (account.trades, account.orders) == ((), ())
    events = await broker.transactions_since(0)
    assert [event.transaction_id for event in events] == list(
        range(1, account.last_transaction_id + 1)
    )
    assert any(isinstance(event, BalanceChanged) for event in events)


async def test_the_newest_quote_is_the_tapes(broker: Broker) -> None:
    assert await broker.quotes(["EUR_USD"]) == [
        Quote("EUR_USD", START + 60 * S, bid_at(12), bid_at(12) + 10)
    ]


async def test_candles_are_complete_and_made_of_the_ticks(broker: Broker) -> None:
    candles = await broker.candles("EUR_USD", Granularity.M1, START, START + 600 * S)
    bids = [bid_at(number) for number in range(12)]
    bid = opened, high, low, close = bids[0], max(bids), min(bids), bids[-1]
    ask = (opened + 10, high + 10, low + 10, close + 10)
    assert candles == [Candle("EUR_USD", Granularity.M1, START, *bid, *ask, 12)]


async def test_an_entry_fills_at_the_ask_and_is_protected(broker: Broker) -> None:
    checkpoint = (await broker.account()).last_transaction_id
    outcome = await broker.place(order(broker))
    assert isinstance(outcome, Done)
    created, filled = outcome.events
    assert isinstance(created, OrderAccepted)
    assert isinstance(filled, OrderFilled)
    assert created.client_order_id == filled.client_order_id == "sepd-entry"
    assert filled.price == bid_at(12) + 10
    assert filled.opened is not None
    assert filled.opened.client_trade_id == "sepd-entry"
    account = await broker.account()
    (trade,) = account.trades
    assert (trade.trade_id, trade.units) == (filled.opened.trade_id, Decimal(1000))
    assert (trade.stop_loss, trade.take_profit) == (109_710, 110_460)
    assert trade.client_trade_id == "sepd-entry"
    events = await broker.transactions_since(checkpoint)
    assert list(events[:2]) == list(outcome.events)
    assert outcome.last_transaction_id == account.last_transaction_id == len(events) + checkpoint
    assert [e.kind for e in events if isinstance(e, OrderAccepted)] == [
        "MARKET",
        "TAKE_PROFIT",
        "STOP_LOSS",
    ]


async def test_an_exit_closes_its_trade_only_and_twice_it_is_refused(broker: Broker) -> None:
    trades = []
    for name in ("a", "b"):
        outcome = await broker.place(order(broker, id=name))
        assert isinstance(outcome, Done)
        assert isinstance(outcome.events[1], OrderFilled)
        trades.append(outcome.events[1].transaction_id)
    exit_ = leave(account_id=broker.account_id, trade_id=trades[1])
    outcome = await broker.place(exit_)
    assert isinstance(outcome, Done)
    filled = outcome.events[-1]
    assert isinstance(filled, OrderFilled)
    assert [part.trade_id for part in filled.closed] == [trades[1]]
    assert {getattr(event, "client_order_id", "") for event in outcome.events} == {"sepd-exit"}
    again = await broker.place(exit_)
    assert isinstance(again, Refused)
    assert [trade.trade_id for trade in (await broker.account()).trades] == [trades[0]]


async def test_an_exit_of_an_earlier_process_is_found_once_it_is_expected(stepped: Venue) -> None:
    async with client(stepped.settings()) as earlier:
        outcome = await earlier.place(order(earlier))
        assert isinstance(outcome, Done)
        trade = outcome.events[1].transaction_id
        exit_ = leave(account_id=earlier.account_id, trade_id=trade)
        assert isinstance(await earlier.place(exit_), Done)
    async with client(stepped.settings()) as broker:

        async def named() -> int:
            rows = await broker.transactions_since(trade)
            return [getattr(row, "client_order_id", "") for row in rows].count("sepd-exit")

        assert await named() == 0
        broker.expect(exit_)
        assert await named() == 2


async def test_a_price_beyond_its_bound_is_done_and_cancelled(broker: Broker) -> None:
    outcome = await broker.place(order(broker, price_bound=100_000))
    assert isinstance(outcome, Done)
    cancelled = outcome.events[-1]
    assert isinstance(cancelled, OrderCancelled)
    assert cancelled.reason == "BOUNDS_VIOLATION"
    assert (await broker.account()).trades == ()


async def test_a_trade_id_that_is_open_guards_against_the_second_fill(broker: Broker) -> None:
    """A market order's own id does not: it is never pending."""
    assert isinstance(await broker.place(order(broker)), Done)
    again = await broker.place(order(broker))
    assert isinstance(again, Refused) or isinstance(again.events[-1], OrderCancelled)  # type: ignore[union-attr]
    assert len((await broker.account()).trades) == 1


async def test_an_order_the_broker_rejects_is_refused_with_its_row(broker: Broker) -> None:
    checkpoint = (await broker.account()).last_transaction_id
    outcome = await broker.place(order(broker, units=Decimal("0.5")))
    assert isinstance(outcome, Refused)
    assert outcome.reason in {"UNITS_PRECISION_EXCEEDED", "UNITS_INVALID", "UNITS_MIMIMUM_NOT_MET"}
    assert list(await broker.transactions_since(checkpoint)) == list(outcome.events)


async def test_a_stop_is_cancelled_by_its_id(broker: Broker) -> None:
    await broker.place(order(broker))
    stop = next(o for o in (await broker.account()).orders if o.kind == "STOP_LOSS")
    outcome = await broker.cancel(stop.order_id)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.events[0], OrderCancelled)
    assert isinstance(await broker.cancel(stop.order_id), Refused)


async def test_prices_stream_from_the_newest_on(stepped: Venue, broker: Broker) -> None:
    got: list[Quote | Heartbeat] = []
    async for batch in broker.stream_prices(["EUR_USD"]):
        got += [item for item in batch.items if isinstance(item, Quote)]
        if len(got) == 3:
            break
        await stepped.advance(1)
    assert got == [
        Quote("EUR_USD", START + n * 5 * S, bid_at(n), bid_at(n) + 10) for n in (12, 13, 14)
    ]


async def test_transactions_stream_what_the_record_holds(broker: Broker) -> None:
    before = (await broker.account()).last_transaction_id
    stream = broker.stream_transactions()
    assert await anext(stream) == ()
    assert isinstance(await broker.place(order(broker)), Done)
    streamed: list[AccountEvent] = []
    while len(streamed) < 4:
        events = await anext(stream)
        streamed += [event for event in events if not isinstance(event, TransactionHeartbeat)]
    assert streamed == list(await broker.transactions_since(before))


async def test_an_order_whose_reply_is_lost_is_found_in_the_record(stepped: Venue) -> None:
    async with cutting(stepped.url) as proxy, client(stepped.settings(proxy.url)) as broker:
        checkpoint = (await broker.account()).last_transaction_id
        proxy.withhold = True
        outcome = await broker.place(order(broker))
        assert isinstance(outcome, Ambiguous)
        proxy.withhold = False
        found = [
            event
            for event in await broker.transactions_since(checkpoint)
            if isinstance(event, OrderFilled) and event.client_order_id == "sepd-entry"
        ]
        assert len(found) == 1
        assert len((await broker.account()).trades) == 1


async def test_a_paced_tape_waits_for_each_acknowledgement_and_ends(tape: Path) -> None:
    quotes, tokens = 0, 0
    options = ("--tape", str(tape), "--speed", "max", "--lockstep", "M1")
    async with venue(*options) as running, client(running.settings(), paced=True) as broker:
        async with asyncio.timeout(30):
            async for batch in broker.stream_prices(["EUR_USD"]):
                quotes += sum(isinstance(item, Quote) for item in batch.items)
                if batch.token is not None:
                    tokens += 1
                    await broker.acknowledge(batch.token)
    assert quotes == 120
    assert tokens >= 9
