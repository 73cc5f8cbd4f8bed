"""The venue as a process: started, streamed from, told to stop."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sepd.market.calendar import load_calendar
from tests.support.venue_app import conductor, serving
from tests.support.venue_process import TICKS, command, lines, running, write_tape


async def test_a_paced_stream_gets_every_quote_and_the_tape_waits_at_each_close(
    tmp_path: Path,
) -> None:
    tape = write_tape(tmp_path)
    with running("--tape", str(tape), "--speed", "max", "--lockstep", "M5") as venue:
        async with venue.session() as session:
            params = {"instruments": "EUR_USD", "paced": "true"}
            prices, pauses = 0, []
            async with session.get(f"{venue.account}/pricing/stream", params=params) as response:
                assert response.headers["Transfer-Encoding"] == "chunked"
                async for item in lines(response):
                    prices += item["type"] == "PRICE"
                    if "token" in item:
                        pauses.append(item)
                        state = await (await session.get(f"{venue.url}/v3/venue/state")).json()
                        assert state["quotes_played"] == prices
                        assert item["afterTransaction"] == state["last_transaction_id"]
                        if item.get("tapeEnd"):
                            break
                        order = {"type": "MARKET", "instrument": "EUR_USD", "units": "10"}
                        made = await session.post(f"{venue.account}/orders", json={"order": order})
                        assert made.status == 201
                        done = await session.post(
                            f"{venue.url}/v3/venue/acknowledge", json={"token": item["token"]}
                        )
                        assert done.status == 200
            assert prices == TICKS
            times = [pause["time"][11:19] for pause in pauses]
            assert times == ["00:05:00", "00:10:00", "00:15:00", "00:20:00", "00:24:59"]
            assert pauses[-1]["type"] == "HEARTBEAT"
            assert [pause["afterTransaction"] for pause in pauses] == ["2", "4", "6", "8", "10"]


async def test_a_reconnecting_paced_client_is_told_again_what_is_waited_for(
    tmp_path: Path,
) -> None:
    tape = write_tape(tmp_path)
    with running("--tape", str(tape), "--speed", "max", "--lockstep", "M5") as venue:
        async with venue.session() as session:
            params = {"instruments": "EUR_USD", "paced": "true"}
            seen = []
            for _ in range(2):
                async with session.get(f"{venue.account}/pricing/stream", params=params) as answer:
                    async for item in lines(answer):
                        if "token" in item:
                            seen.append(item)
                            break
            assert seen[0] == seen[1]


async def test_stepping_moves_the_tape_and_streams_transactions(tmp_path: Path) -> None:
    with running("--tape", str(write_tape(tmp_path)), "--speed", "step") as venue:
        async with venue.session() as session:
            stream = await session.get(f"{venue.account}/transactions/stream")
            feed = lines(stream)
            assert (await anext(feed))["lastTransactionID"] == "2"
            body = {"until": "2014-05-01T00:01:00Z"}
            state = await (await session.post(f"{venue.url}/v3/venue/advance", json=body)).json()
            assert state["quotes_played"] == 61
            assert state["tape_time"] == "2014-05-01T00:01:00.000000000Z"
            order = {"type": "MARKET", "instrument": "EUR_USD", "units": "-10"}
            await session.post(f"{venue.account}/orders", json={"order": order})
            assert [(await anext(feed))["type"] for _ in range(2)] == ["MARKET_ORDER", "ORDER_FILL"]
            stream.close()


async def test_real_time_plays_at_the_given_speed_and_ends_with_a_heartbeat(
    tmp_path: Path,
) -> None:
    tape = write_tape(tmp_path, 60)
    with running("--tape", str(tape), "--speed", "60", "--lockstep", "H1") as venue:
        async with venue.session() as session:
            params = {"instruments": "EUR_USD", "paced": "true"}
            url = f"{venue.account}/pricing/stream"
            kinds = []
            async with session.get(url, params=params) as response:
                async for item in lines(response):
                    kinds.append(item["type"])
                    if item.get("tapeEnd"):
                        break
            assert kinds.count("PRICE") == 60
            assert kinds.count("HEARTBEAT") > 3


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    arguments = command("--tape", str(write_tape(tmp_path)), "--exit-with-parent")
    script = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen({arguments!r}, stdout=subprocess.PIPE)\n"
        "print(child.stdout.readline().decode(), flush=True)\n"
    )
    # The venue inherits stderr, so this returns only when it has ended too.
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    address = ("127.0.0.1", json.loads(said.stdout)["port"])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 10)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tape", "{folder}/EUR_USD.missing.csv"], "No such file"),
        (["--tape", "{folder}/EUR_USD.empty.csv"], "is empty"),
        (["--tape", "{folder}/EUR_USD.bad.tick.csv"], "no row is legal"),
        (["--tape", "{folder}/EUR_USD.tick.csv", "--port", "{taken}"], "cannot be used"),
        (["--tape", "{folder}/EUR_USD.tick.csv", "--speed", "fast"], "--speed"),
        (["--tape", "{folder}/EUR_USD.tick.csv", "--balance", "-1"], "balance -1"),
        (["--tape", "{folder}/EUR_GBP.tick.csv"], "Nothing converts GBP into USD"),
        (["--tape", "{folder}/EUR_USD.tick.csv", "--rules", "{folder}/no.toml"], "no.toml"),
        (["--tape", "{folder}/EUR_USD.tick.csv", "--faults", "{folder}/no.toml"], "no.toml"),
    ],
)
def test_bad_start_up_input_is_one_sentence(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    write_tape(tmp_path, 3)
    write_tape(tmp_path, 3, "EUR_GBP", 0.8)
    (tmp_path / "EUR_USD.empty.csv").touch()
    (tmp_path / "EUR_USD.bad.tick.csv").write_text("time,bid,ask\n2014-05-01T00:00:00Z,nan,1\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        filled = [text.format(folder=tmp_path, taken=port) for text in arguments]
        ended = subprocess.run(
            command(*filled), capture_output=True, text=True, timeout=30, check=False
        )
    assert ended.returncode in (2, 78)
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


async def test_the_close_of_the_market_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "EUR_USD.tick.csv"
    file.write_text(
        "time,bid,ask\n2023-05-05T20:57:59.000Z,1.1,1.1001\n2023-05-07T21:05:00.000Z,1.2,1.2001\n"
    )
    async with serving(conductor(file, calendar=load_calendar())) as client:
        async with client.stream("pricing") as prices:
            for until in ("2023-05-05T20:57:59Z", "2023-05-05T21:30:00Z", "2023-05-06T00:00:00Z"):
                await client.call("POST", "/v3/venue/advance", {"until": until})
            await client.advance(1)
            seen = [json.loads(await prices.readline()) for _ in range(3)]
        assert [item["tradeable"] for item in seen] == [True, False, True]
        assert [item["closeoutBid"] for item in seen] == ["1.10000", "1.10000", "1.20000"]
        assert seen[1]["status"] == "non-tradeable"
