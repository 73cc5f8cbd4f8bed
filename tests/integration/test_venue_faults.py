"""Scripted trouble, as a client meets it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from sepd.clock import EventClock
from sepd.domain.time import NS_PER_S
from sepd.errors import ConfigError
from sepd.venue.faults import Fault, FaultPlan, FaultScript, load_faults
from sepd.venue.limits import Limits
from tests.support.venue_app import Client, conductor, serving
from tests.support.venue_process import write_tape

POST = "POST /v3/accounts/*/orders"
PRICES = "GET /v3/accounts/*/pricing/stream"
ROWS = "GET /v3/accounts/*/transactions/stream"


@asynccontextmanager
async def troubled(
    folder: Path, *faults: Fault, limits: Limits | None = None
) -> AsyncIterator[Client]:
    """A stepped venue ten quotes into its tape, with this trouble, on a clock that stands."""
    venue = conductor(write_tape(folder), clock=EventClock(NS_PER_S))
    async with serving(venue, FaultScript(faults), limits) as client:
        await client.advance(10)
        yield client


def pass_time(client: Client, seconds: float) -> None:
    """Let real time, as the venue knows it, pass."""
    clock = client.venue.clock
    assert isinstance(clock, EventClock)
    clock.advance(clock.now_ns() + int(seconds * NS_PER_S))


def fills(client: Client) -> int:
    """Fills on the account."""
    rows = client.venue.engine.account.ledger.rows
    return sum(row["type"] == "ORDER_FILL" for row in rows)


async def test_a_request_dropped_before_it_is_applied_leaves_nothing(tmp_path: Path) -> None:
    async with troubled(tmp_path, Fault("drop", POST)) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.market()
        assert fills(client) == 0
        assert (await client.market())[0] == 201


async def test_a_request_dropped_after_it_is_applied_has_filled(tmp_path: Path) -> None:
    async with troubled(tmp_path, Fault("drop", POST, when="after")) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.market()
        assert fills(client) == 1


async def test_an_answer_of_504_with_the_order_applied_later(tmp_path: Path) -> None:
    async with troubled(tmp_path, Fault("later", POST, status=504, seconds=0.05)) as client:
        async with client.stream("transactions") as rows:
            await rows.readline()
            status, answer = await client.market()
            assert (status, answer) == (504, {"errorMessage": "Timeout waiting for response."})
            assert fills(client) == 0
            assert json.loads(await rows.readline())["type"] == "MARKET_ORDER"
        assert fills(client) == 1


async def test_a_refusal_that_nobody_waits_for_is_heard_by_nobody(tmp_path: Path) -> None:
    async with troubled(tmp_path, Fault("later", POST, status=504)) as client:
        assert (await client.market(instrument="XXX_YYY"))[0] == 504
        assert (await client.market())[0] == 201


@pytest.mark.parametrize("when", ["before", "after"])
async def test_any_status_before_or_after_applying(tmp_path: Path, when: str) -> None:
    fault = Fault("reply", POST, status=429, when="after" if when == "after" else "before")
    async with troubled(tmp_path, fault) as client:
        status, answer = await client.market()
        assert status == 429
        assert "errorMessage" in answer
        assert fills(client) == (when == "after")


async def test_a_body_that_is_not_json(tmp_path: Path) -> None:
    fault = Fault("reply", "GET */summary", status=502, body="<html>Bad Gateway</html>")
    async with troubled(tmp_path, fault) as client:
        path = f"{client.account}/summary"
        async with client.http.get(path, headers=client.headers) as response:
            assert (response.status, response.content_type) == (502, "text/html")
        assert (await client.call("GET", "A/summary"))[0] == 200


async def test_a_delay_holds_the_answer_back(tmp_path: Path) -> None:
    async with troubled(tmp_path, Fault("delay", "GET */summary", seconds=3_600)) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.call("GET", "A/summary")
        assert (await client.call("GET", "A/summary"))[0] == 200


async def test_what_is_young_cannot_be_read_at_first(tmp_path: Path) -> None:
    fault = Fault("lag", "GET /v3/accounts/*", seconds=0.5)
    async with troubled(tmp_path, fault) as client:
        order = {"type": "LIMIT", "instrument": "EUR_USD", "units": "1", "price": "1"}
        _, made = await client.call("POST", "A/orders", {"order": order})
        assert made["lastTransactionID"] == "3"
        for visible in (False, True):
            status, _ = await client.call("GET", "A/orders/3")
            assert status == (200 if visible else 404)
            _, found = await client.call("GET", "A/transactions/sinceid", id=2)
            assert found["lastTransactionID"] == ("3" if visible else "2")
            assert len(found["transactions"]) == visible
            _, found = await client.call("GET", "A/orders")
            assert len(found["orders"]) == visible
            await client.advance(1)


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("duplicate", ["3", "3", "4"]),
        ("missing", ["4"]),
        ("garbage", ["<html>Bad Gateway</html>", "4"]),
    ],
)
async def test_lines_of_the_transaction_stream(tmp_path: Path, kind: str, seen: list[str]) -> None:
    fault = msgspec.convert({"kind": kind, "match": ROWS, "after": 1}, Fault)
    async with troubled(tmp_path, fault) as client, client.stream("transactions") as rows:
        await rows.readline()
        await client.market()
        found = []
        for _ in seen:
            text = (await rows.readline()).decode().strip()
            found.append(json.loads(text)["id"] if text.startswith("{") else text)
        assert found == seen


async def test_a_late_line_comes_after_later_ones(tmp_path: Path) -> None:
    fault = Fault("late", ROWS, after=1, seconds=0.0)
    async with troubled(tmp_path, fault) as client, client.stream("transactions") as rows:
        await rows.readline()
        await client.market()
        ids = [json.loads(await rows.readline())["id"] for _ in range(2)]
        assert ids == ["3", "4"]
    fault = Fault("late", ROWS, after=1, seconds=0.05)
    async with troubled(tmp_path, fault) as client, client.stream("transactions") as rows:
        await rows.readline()
        await client.market()
        assert json.loads(await rows.readline())["id"] == "4"
        pass_time(client, 0.06)
        await client.market()
        ids = [json.loads(await rows.readline())["id"] for _ in range(3)]
        assert ids == ["3", "5", "6"]


async def test_a_truncated_line_cannot_be_parsed(tmp_path: Path) -> None:
    fault = Fault("truncate", PRICES, after=1)
    async with troubled(tmp_path, fault) as client, client.stream("pricing") as prices:
        assert json.loads(await prices.readline())["type"] == "PRICE"
        await client.advance(2)
        with pytest.raises(json.JSONDecodeError):
            json.loads(await prices.readline())
        assert json.loads(await prices.readline())["type"] == "PRICE"


async def test_a_stream_cut_in_the_middle_of_a_line(tmp_path: Path) -> None:
    fault = Fault("cut", PRICES, after=1)
    async with troubled(tmp_path, fault) as client, client.stream("pricing") as prices:
        await prices.readline()
        await client.advance(1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await prices.read()


async def test_a_half_open_stream_says_nothing_more_but_stays(tmp_path: Path) -> None:
    fault = Fault("half_open", PRICES, after=1)
    async with troubled(tmp_path, fault) as client, client.stream("pricing") as prices:
        await prices.readline()
        await client.advance(5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await prices.readline()
        assert not prices.at_eof()


async def test_a_silent_stream_speaks_again(tmp_path: Path) -> None:
    fault = Fault("silence", PRICES, after=1, seconds=0.1)
    async with troubled(tmp_path, fault) as client, client.stream("pricing") as prices:
        first = json.loads(await prices.readline())
        await client.advance(1)
        pass_time(client, 0.15)
        await client.advance(1)
        second = json.loads(await prices.readline())
        assert (first["time"][17:19], second["time"][17:19]) == ("09", "11")


async def test_a_skewed_clock_moves_every_time(tmp_path: Path) -> None:
    fault = Fault("skew", "*/pricing*", count=0, seconds=3.0)
    async with troubled(tmp_path, fault) as client:
        _, prices = await client.call("GET", "A/pricing", instruments="EUR_USD")
        assert prices["time"] == "2014-05-01T00:00:12.000000000Z"
        _, summary = await client.call("GET", "A/summary")
        assert summary["account"]["createdTime"] == "2014-05-01T00:00:00.000000000Z"


async def test_requests_streams_and_connections_beyond_the_limits(tmp_path: Path) -> None:
    async with troubled(tmp_path, limits=Limits(requests_per_s=3, streams=1)) as client:
        statuses = [(await client.call("GET", "A/summary"))[0] for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        pass_time(client, 1)
        assert (await client.call("GET", "A/summary"))[0] == 200
    async with (
        troubled(tmp_path, limits=Limits(streams=1)) as client,
        client.stream("pricing"),
        client.http.get(f"{client.account}/transactions/stream", headers=client.headers) as refused,
    ):
        assert refused.status == 429
    async with (
        troubled(tmp_path, limits=Limits(connections_per_s=2)) as client,
        client.stream("pricing"),
        client.stream("pricing"),
    ):
        with pytest.raises(aiohttp.ClientError):
            await client.call("GET", "A/summary")


def test_a_script_is_repeatable_and_counts(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(
        'seed = 7\n[[fault]]\nkind = "reply"\nmatch = "GET *"\nchance = 0.5\ncount = 0\n'
        '[[fault]]\nkind = "drop"\nmatch = "POST *"\nafter = 1\ncount = 2\n'
        'from_time = "2014-05-01T00:00:00Z"\nto_time = "2014-05-02T00:00:00Z"\n'
    )
    script = load_faults(file)
    now_ns = 1_398_902_400_000_000_000
    first, second = FaultPlan(script), FaultPlan(script)
    met = [first.request("GET /x", now_ns) is not None for _ in range(50)]
    assert met == [second.request("GET /x", now_ns) is not None for _ in range(50)]
    assert 10 < sum(met) < 40
    assert [first.request("POST /x", now_ns) is not None for _ in range(5)] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert first.hits[1] == 2
    assert second.request("POST /x", now_ns + 86_400_000_000_000) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[[fault]]\nkind = "explode"\n', "explode"),
        ('[[fault]]\nkind = "drop"\nwen = "after"\n', "wen"),
        ('[[fault]]\nkind = "drop"\nchance = 2\n', "chance"),
        ('[[fault]]\nkind = "drop"\nfrom_time = "noon"\n', "noon"),
        ("[[fault", "faults.toml"),
    ],
)
def test_a_wrong_script_is_refused_by_name(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=word):
        load_faults(file)
