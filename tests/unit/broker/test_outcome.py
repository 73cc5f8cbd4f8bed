"""Every answer to an order is one of: done, refused, unsent, ambiguous."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.broker.oanda.outcome import outcome
from sepd.domain.account import OrderCancelled, OrderRejected
from sepd.domain.market import Instrument
from sepd.domain.order import Ambiguous, Done, Refused, Unsent
from tests.support.oanda import row

PAIRS = {"EUR_USD": Instrument("EUR_USD")}
CREATE = row(7, "MARKET_ORDER", instrument="EUR_USD", units="1000", reason="CLIENT_ORDER")
CANCEL = row(8, "ORDER_CANCEL", orderID="7", reason="MARKET_HALTED", clientOrderID="x")
REJECT = row(
    7, "MARKET_ORDER_REJECT", instrument="EUR_USD", units="1", rejectReason="INSUFFICIENT_MARGIN"
)


def body(**fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def test_created_and_cancelled_at_once_is_done_with_the_cancel_in_it() -> None:
    reply = body(
        orderCreateTransaction=CREATE, orderCancelTransaction=CANCEL, lastTransactionID="8"
    )
    done = outcome(201, reply, PAIRS)
    assert isinstance(done, Done)
    assert done.last_transaction_id == 8
    assert done.events[1] == OrderCancelled(8, done.events[1].time_ns, 7, "MARKET_HALTED", "x")


def test_a_rejected_order_is_refused_with_its_row() -> None:
    reply = body(
        orderRejectTransaction=REJECT,
        lastTransactionID="7",
        errorCode="INSUFFICIENT_MARGIN",
        errorMessage="no margin",
    )
    refused = outcome(400, reply, PAIRS)
    assert isinstance(refused, Refused)
    assert refused.reason == "INSUFFICIENT_MARGIN"
    assert isinstance(refused.events[0], OrderRejected)
    assert refused.events[0].kind == "MARKET"


@pytest.mark.parametrize(
    ("status", "reply", "reason"),
    [
        (400, body(errorCode="oanda::rest::core::InvalidParameterException"), None),
        (400, body(errorMessage="Invalid value specified for 'units'"), "HTTP_400"),
        (404, body(errorCode="TRADE_DOESNT_EXIST", errorMessage="gone"), "TRADE_DOESNT_EXIST"),
        (401, b"<html>", "UNAUTHORIZED"),
        (403, body(errorMessage="The provided request was forbidden."), "FORBIDDEN"),
        (405, body(errorMessage="Method Not Allowed"), "HTTP_405"),
        (416, body(errorCode="RANGE"), "RANGE"),
    ],
)
def test_what_the_broker_itself_turns_down_is_refused(
    status: int, reply: bytes, reason: str | None
) -> None:
    refused = outcome(status, reply, PAIRS)
    assert isinstance(refused, Refused)
    assert refused.reason == (reason or "oanda::rest::core::InvalidParameterException")
    assert refused.message


def test_too_many_requests_was_never_sent() -> None:
    assert isinstance(outcome(429, b"", PAIRS), Unsent)


@pytest.mark.parametrize(
    ("status", "reply"),
    [
        (500, b""),
        (502, b"<html>Bad Gateway</html>"),
        (503, body(errorMessage="maintenance")),
        (504, body(errorMessage="Timeout waiting for response.")),
        (408, b""),
        (201, b""),
        (201, b"<html>"),
        (201, b"{}"),
        (201, body(orderCreateTransaction=CREATE)),
        (201, body(orderCreateTransaction=CREATE, lastTransactionID="7")[:-9]),
        (201, body(orderCreateTransaction={**CREATE, "units": "NaN"}, lastTransactionID="7")),
        (200, b"\xff\xfe"),
        (201, b'{"x":' * 100_000),
        (302, b""),
        (400, b"<html>"),
        (400, b"{}"),
        (404, b"not found"),
        (100, b""),
    ],
)
def test_anything_else_is_ambiguous(status: int, reply: bytes) -> None:
    assert isinstance(outcome(status, reply, PAIRS), Ambiguous)


@given(st.integers(100, 599), st.binary(max_size=200))
def test_no_answer_breaks_the_classification(status: int, reply: bytes) -> None:
    outcome(status, reply, PAIRS)
