"""OANDA's rows as domain values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from sepd.broker.oanda import translate, wire
from sepd.domain.account import (
    AccountEvent,
    BalanceChanged,
    OpenTrade,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OtherTransaction,
    PendingOrder,
    TradeOpen,
    TradeReduce,
)
from sepd.domain.market import Instrument
from sepd.errors import InputError
from tests.support.oanda import NOON, account, row

PAIRS = {
    "EUR_USD": Instrument("EUR_USD"),
    "USD_JPY": Instrument("USD_JPY", display_precision=3, pip_location=-2),
}
FILL: dict[str, Any] = {
    "orderID": "7",
    "instrument": "USD_JPY",
    "units": "-1500",
    "price": "110.123",
    "fullVWAP": "110.1234",
    "pl": "12.3400",
    "financing": "-0.0100",
    "commission": "0.5000",
    "guaranteedExecutionFee": "0.2500",
    "accountBalance": "100011.5800",
    "reason": "MARKET_ORDER",
    "clientOrderID": "sepd-1",
    "fullPrice": {"bids": [{"price": "110.1", "liquidity": "1"}], "timestamp": "x"},
}


def event(fields: dict[str, Any]) -> AccountEvent:
    decoder = wire.decoder(wire.Transaction)
    return translate.account_event(decoder.decode(msgspec.json.encode(fields)), PAIRS)


def test_the_spelling_of_fields() -> None:
    names = ["id", "pl", "last_transaction_id", "realized_pl", "full_vwap", "client_extensions"]
    assert [wire.spelling(name) for name in names] == [
        "id",
        "pl",
        "lastTransactionID",
        "realizedPL",
        "fullVWAP",
        "clientExtensions",
    ]


def test_a_market_order() -> None:
    created = event(
        row(
            7,
            "MARKET_ORDER",
            instrument="EUR_USD",
            units=1000,
            reason="CLIENT_ORDER",
            priceBound="1.1",
            clientExtensions={"id": "sepd-1", "tag": "t"},
            somethingNew={"deep": [1, 2]},
        )
    )
    assert created == OrderAccepted(
        7, NOON + 7, "MARKET", "CLIENT_ORDER", "EUR_USD", Decimal(1000), client_order_id="sepd-1"
    )


def test_a_stop_of_a_trade_has_a_price_without_an_instrument() -> None:
    """A dependent order's row names the trade only, and points need the instrument."""
    created = event(row(9, "STOP_LOSS_ORDER", tradeID="8", price="1.09710", reason="ON_FILL"))
    assert created == OrderAccepted(
        9, NOON + 9, "STOP_LOSS", "ON_FILL", trade_id=8, level=Decimal("1.09710")
    )


def test_a_fill_that_reduces_closes_and_opens() -> None:
    parts = {
        "tradeReduced": {
            "tradeID": "3",
            "units": "-200",
            "price": "110.123",
            "realizedPL": "2.00",
            "financing": "0.0000",
        },
        "tradesClosed": [
            {"tradeID": "1", "units": "-300", "realizedPL": "10.34", "financing": "-0.0100"}
        ],
        "tradeOpened": {"tradeID": "8", "units": "-1000", "price": "110.1234"},
    }
    filled = event(row(8, "ORDER_FILL", **FILL, **parts))
    assert filled == OrderFilled(
        transaction_id=8,
        time_ns=NOON + 8,
        order_id=7,
        instrument="USD_JPY",
        units=Decimal(-1500),
        price=110_123,
        reason="MARKET_ORDER",
        pl=Decimal("12.3400"),
        financing=Decimal("-0.0100"),
        commission=Decimal("0.7500"),
        balance=Decimal("100011.5800"),
        client_order_id="sepd-1",
        opened=TradeOpen(8, Decimal(-1000), 110_123),
        reduced=TradeReduce(3, Decimal(-200), 110_123, Decimal("2.00"), Decimal("0.0000")),
        closed=(TradeReduce(1, Decimal(-300), 110_123, Decimal("10.34"), Decimal("-0.0100")),),
    )


@pytest.mark.parametrize("field", ["orderID", "price", "accountBalance", "instrument"])
def test_a_fill_that_lacks_what_money_depends_on_is_refused(field: str) -> None:
    fields = row(8, "ORDER_FILL", **FILL)
    del fields[field]
    with pytest.raises(InputError):
        event(fields)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "sNaN"])
@pytest.mark.parametrize("field", ["units", "price", "pl", "accountBalance", "commission"])
def test_a_fill_with_an_impossible_number_is_refused(field: str, text: str) -> None:
    with pytest.raises(InputError):
        event(row(8, "ORDER_FILL", **{**FILL, field: text}))


def test_a_cancel() -> None:
    cancelled = event(
        row(8, "ORDER_CANCEL", orderID="7", reason="BOUNDS_VIOLATION", clientOrderID="a")
    )
    assert cancelled == OrderCancelled(8, NOON + 8, 7, "BOUNDS_VIOLATION", "a")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("MARKET_ORDER_REJECT", "MARKET"),
        ("ORDER_CANCEL_REJECT", "ORDER_CANCEL"),
        ("STOP_LOSS_ORDER_REJECT", "STOP_LOSS"),
    ],
)
def test_a_reject(kind: str, expected: str) -> None:
    rejected = event(row(8, kind, rejectReason="X", reason="CLIENT_ORDER"))
    assert rejected == OrderRejected(8, NOON + 8, expected, "X")


def test_financing_is_split_by_trade() -> None:
    changed = event(
        row(
            8,
            "DAILY_FINANCING",
            financing="-0.3000",
            accountBalance="99999.7000",
            positionFinancings=[
                {
                    "instrument": "EUR_USD",
                    "financing": "-0.3000",
                    "openTradeFinancings": [
                        {"tradeID": "3", "financing": "-0.1000"},
                        {"tradeID": "5", "financing": "-0.2000"},
                    ],
                }
            ],
        )
    )
    assert changed == BalanceChanged(
        8,
        NOON + 8,
        "DAILY_FINANCING",
        Decimal("-0.3000"),
        Decimal("99999.7000"),
        {3: Decimal("-0.1000"), 5: Decimal("-0.2000")},
    )


def test_a_transfer_changes_the_balance() -> None:
    changed = event(row(3, "TRANSFER_FUNDS", amount="100000.0000", accountBalance="100000.0000"))
    assert isinstance(changed, BalanceChanged)
    assert changed.amount == changed.balance == Decimal(100_000)


@pytest.mark.parametrize("kind", ["CREATE", "MARGIN_CALL_ENTER", "NEVER_HEARD_OF", ""])
def test_what_is_new_or_without_effect_keeps_its_id(kind: str) -> None:
    assert event(row(4, kind)) == OtherTransaction(4, NOON + 4, kind)


@pytest.mark.parametrize("fields", [{"id": "0"}, {"time": "yesterday"}, {"time": ""}])
def test_a_row_without_id_or_time_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(InputError):
        event({**row(4), **fields})


def test_the_account_with_stops_named_by_their_orders() -> None:
    reply = wire.decoder(wire.AccountReply).decode(msgspec.json.encode(account()))
    snapshot = translate.account(reply, PAIRS)
    assert snapshot.trades == (
        OpenTrade(
            8,
            "EUR_USD",
            Decimal(600),
            110_010,
            NOON,
            Decimal("1.0000"),
            Decimal("0.4000"),
            Decimal("0.0000"),
            109_710,
            110_460,
            "sepd-1",
        ),
    )
    assert snapshot.orders == (
        PendingOrder(9, "STOP_LOSS", "EUR_USD", Decimal(0), 109_710, 8),
        PendingOrder(10, "TAKE_PROFIT", "EUR_USD", Decimal(0), 110_460, 8),
        PendingOrder(11, "LIMIT", "USD_JPY", Decimal(-5), 111_500, None, "mine"),
    )
    assert (snapshot.nav, snapshot.last_transaction_id) == (Decimal("100001.0000"), 11)


def test_an_account_of_infinite_wealth_is_refused() -> None:
    reply = wire.decoder(wire.AccountReply).decode(msgspec.json.encode(account(balance="Infinity")))
    with pytest.raises(InputError):
        translate.account(reply, PAIRS)
