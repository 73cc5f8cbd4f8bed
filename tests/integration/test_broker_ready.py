"""A request that was made ready ahead is the one that is sent."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest

from sepd.broker.oanda import OandaBroker
from sepd.clock import SystemClock
from sepd.domain.order import OrderIntent, Refused, Unsent
from tests.support.bare_server import GOOD, READ, facing, orders, saying
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


@pytest.mark.parametrize("rehearsals", [0, 1, 5])
def test_looking_for_a_connection_leaves_the_kept_ones_as_they_were(
    rehearsals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def virtual() -> float:
        return asyncio.get_running_loop().time()

    monkeypatch.setattr("aiohttp.connector.monotonic", virtual)  # by which connections get old

    async def used() -> tuple[list[int], list[int]]:
        scripts = saying(READ, *[GOOD] * 9), saying(*[GOOD] * 9), saying(GOOD)
        async with facing(*scripts) as (broker, peers):
            await asyncio.gather(broker.place(entry()), broker.place(entry()))
            for _ in range(3):
                await rehearse(broker, rehearsals)
                await broker.place(entry())
            young = orders(peers)
            for _ in range(31):
                await asyncio.sleep(1)
                await rehearse(broker, rehearsals)
            await broker.place(entry())
            return young, orders(peers)

    young, old = run_virtually(used())
    assert young == [3, 2]  # the one that was used longest ago, in turn
    assert old == [3, 2, 1]  # nobody used them for 30 s


async def rehearse(broker: OandaBroker, times: int) -> None:
    """So many rehearsals one after the other."""
    for _ in range(times):
        await asyncio.sleep(0)
        broker.rehearse(entry())


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
