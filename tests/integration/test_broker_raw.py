"""Answers that are not HTTP, or lie about themselves: reads fail in words, orders are in doubt."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from sepd.broker.oanda import OandaBroker
from sepd.clock import SystemClock
from sepd.domain.order import Ambiguous, Outcome
from sepd.errors import SepdError, TransientError
from tests.support.oanda import INSTRUMENTS, entry, settings
from tests.support.virtual import run_virtually

GOOD = msgspec.json.encode(INSTRUMENTS)
PACKED = gzip.compress(b'{"prices":[]}')
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ANSWERS = {
    "nothing": b"",
    "half a status line": b"HTTP/1.",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "binary": bytes(range(256)),
    "an endless header": OK + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    "ten thousand headers": OK + b"X: y\r\n" * 10_000 + b"\r\n",
    "a header without a name": OK + b": x\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
    "a negative length": OK + b"Content-Length: -5\r\n\r\n{}",
    "a length beyond the body": OK + b"Content-Length: 500\r\n\r\n{}",
    "a chunk of letters": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk cut short": OK + b"Transfer-Encoding: chunked\r\n\r\n50\r\n{}",
    "not gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
    "gzip cut short": OK + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + PACKED[:20],
    "an unknown packing": OK + b"Content-Encoding: zip9\r\nContent-Length: 2\r\n\r\n\xff\xff",
    "a redirect": b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "an early hint for ever": b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
}


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[OandaBroker]:
    """A client of a server that answers the first request well and every other with `answer`."""
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        await reader.readuntil(b"\r\n\r\n")
        served += 1
        head = OK + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(GOOD)
        writer.write(head + GOOD if served == 1 else answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    broker = OandaBroker(settings(url, timeout_s=2, silence_s=1), SystemClock(), random.Random(1))
    try:
        await broker.open()
        yield broker
    finally:
        await broker.close()
        server.close()
        await server.wait_closed()


async def _read(answer: bytes) -> None:
    async with answering(answer) as broker:
        await broker.quotes(["EUR_USD"])


async def _order(answer: bytes) -> Outcome:
    async with answering(answer) as broker:
        return await broker.place(entry())


async def _stream(answer: bytes) -> None:
    async with answering(answer) as broker:
        await anext(broker.stream_prices(["EUR_USD"]))


@pytest.mark.parametrize("name", ANSWERS)
def test_a_read_fails_in_words(name: str) -> None:
    with pytest.raises(TransientError):
        run_virtually(_read(ANSWERS[name]))


@pytest.mark.parametrize("name", ANSWERS)
def test_an_order_is_in_doubt(name: str) -> None:
    assert isinstance(run_virtually(_order(ANSWERS[name])), Ambiguous)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_breaks(name: str) -> None:
    with pytest.raises(SepdError):
        run_virtually(_stream(ANSWERS[name]))


@pytest.mark.parametrize("seed", range(10))
def test_mutated_answers_are_classified(seed: int) -> None:
    """Twenty mutations of a good answer each: an outcome, a value or an error by reaction."""
    rng = random.Random(seed)
    whole = OK + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD
    for _ in range(20):
        at, to = sorted(rng.sample(range(len(whole)), 2))
        junk = rng.randbytes(rng.randrange(8))
        answer = rng.choice((whole[:at], whole[:at] + junk + whole[to:], whole[:at] + junk))
        assert isinstance(run_virtually(_order(answer)), Outcome)
        with suppress(SepdError):
            run_virtually(_read(answer))
