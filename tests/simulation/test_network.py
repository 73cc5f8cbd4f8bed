"""Unmodified aiohttp over the network in memory, and what the weather does to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from sepd.simulation.loop import OWNER
from sepd.simulation.network import NetworkedLoop

PORT = 8_000
URL = f"http://127.0.0.1:{PORT}/"
Body = Callable[[NetworkedLoop, aiohttp.ClientSession], Awaitable[None]]


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello " * int(request.query.get("times", "1")))


@asynccontextmanager
async def serving() -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_route("*", "/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()
    try:
        yield
    finally:
        await runner.cleanup()


def play(body: Body, seed: int = 1) -> float:
    """Run `body` with a client session beside the server; the virtual time it took."""
    loop = NetworkedLoop(random.Random(seed))

    async def main() -> None:
        async with serving(), aiohttp.ClientSession() as session:
            await body(loop, session)

    try:
        loop.run_until_complete(main())
        return loop.time()
    finally:
        loop.close()


def test_requests_are_answered_and_take_virtual_time() -> None:
    async def body(_: NetworkedLoop, session: aiohttp.ClientSession) -> None:
        for __ in range(50):
            async with session.get(URL) as response:
                assert await response.text() == "hello "

    assert 0.1 < play(body) < 5
    assert play(body) == play(body) != play(body, seed=2)


def test_long_answers_arrive_whole() -> None:
    async def body(_: NetworkedLoop, session: aiohttp.ClientSession) -> None:
        async with session.get(URL, params={"times": "200000"}) as response:
            assert len(await response.read()) == 1_200_000

    play(body)


def test_a_closed_port_refuses() -> None:
    async def body(loop: NetworkedLoop, session: aiohttp.ClientSession) -> None:
        loop.network.at(PORT).refuse_until_s = 10.0
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(URL)
        await asyncio.sleep(11)
        assert (await session.get(URL)).status == 200

    play(body)


def test_a_black_hole_answers_nothing_and_tells_nobody() -> None:
    async def body(loop: NetworkedLoop, session: aiohttp.ClientSession) -> None:
        assert await (await session.get(URL)).text()
        for pipe in loop.network.clients(PORT):
            pipe.go_dark()
        with pytest.raises(TimeoutError):
            await session.get(URL, timeout=aiohttp.ClientTimeout(total=30))

    assert play(body) > 30


def test_a_reset_breaks_a_request_under_way() -> None:
    async def body(loop: NetworkedLoop, session: aiohttp.ClientSession) -> None:
        def reset() -> None:
            for pipe in loop.network.clients(PORT):
                pipe.reset()

        loop.network.at(PORT).stall_until_s = 5.0
        loop.call_later(2.0, reset)
        with pytest.raises(aiohttp.ClientError):
            await session.post(URL)

    play(body)


def test_a_killed_process_sends_nothing_more_and_its_port_is_free() -> None:
    async def body(loop: NetworkedLoop, session: aiohttp.ClientSession) -> None:
        assert await (await session.get(URL)).text()
        loop.network.kill(OWNER.get(), silently=False)
        with pytest.raises(TimeoutError):
            await session.get(URL, timeout=aiohttp.ClientTimeout(total=30))
        assert not loop.network.ports

    play(body)
