"""A request that was made ready ahead is the one that is sent."""

from __future__ import annotations

import random

import msgspec

from sepd.broker.oanda import OandaBroker
from sepd.clock import SystemClock
from sepd.domain.order import OrderIntent, Refused, Unsent
from tests.support.bare_server import GOOD, READ, facing, saying
from tests.support.oanda import entry, settings
from tests.support.virtual import run_virtually


async def sent(*ahead: OrderIntent) -> bytes:
    """The request for `entry()`, after those of `ahead` have been made ready."""
    async with facing(saying(READ, GOOD)) as (broker, peers):
        for intent in ahead:
            broker.rehearse(intent)
        await broker.place(entry())
        _, request = peers[0].requests
        host = request.index(b"\r\nHost: ")
        return request[:host] + request[request.index(b"\r\n", host + 2) :]


def test_a_request_made_ready_is_sent_as_it_would_be_without() -> None:
    other = msgspec.structs.replace(entry(), units=2 * entry().units)
    plain = run_virtually(sent())
    assert run_virtually(sent(entry())) == plain
    assert run_virtually(sent(other)) == plain  # of another intent, though of the same id
    assert run_virtually(sent(other, entry())) == plain


def test_what_cannot_be_sent_is_said_by_the_order_alone() -> None:
    async def outcomes() -> tuple[type, type]:
        unknown = msgspec.structs.replace(entry(), instrument="XAU_USD")
        async with facing(saying(READ)) as (broker, _):
            broker.rehearse(unknown)
            refused = await broker.place(unknown)
        broker.rehearse(entry())
        return type(refused), type(await broker.place(entry()))

    assert run_virtually(outcomes()) == (Refused, Unsent)


async def test_a_client_that_was_never_opened_makes_nothing_ready() -> None:
    broker = OandaBroker(settings("http://127.0.0.1:1"), SystemClock(), random.Random(1))
    broker.rehearse(entry())
    assert isinstance(await broker.place(entry()), Refused)
