"""`sepd run`, as systemd starts and stops it, against a venue that plays real ticks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(120)


def environment(**extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SEPD_", "OANDA_"))}
    return kept | extra


def read(url: str, token: str = "") -> dict[str, Any]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            body = reply.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A venue that plays an hour of quotes a minute apart, 120 times as fast."""
    quotes = [f"2014-05-01T00:{m:02d}:{s:02d}Z" for m in range(60) for s in range(0, 60, 4)]
    tape = tmp_path / "EUR_USD.csv"
    prices = [f"{t},1.{38000 + n % 7},1.{38010 + n % 7}" for n, t in enumerate(quotes)]
    tape.write_text("\n".join(["time,bid,ask", *prices]) + "\n")
    with subprocess.Popen(
        [sys.executable, "-m", "sepd", "venue", "--tape", str(tape), "--speed", "120"],
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


@pytest.fixture
def start(
    tmp_path: Path, venue: dict[str, Any]
) -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """Starts daemons on the venue; what a test leaves running is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **extra: str) -> tuple[subprocess.Popen[str], int]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        url = f"http://127.0.0.1:{venue['port']}"
        process = subprocess.Popen(
            [sys.executable, "-m", "sepd", "run", "--port", str(port), *arguments],
            cwd=tmp_path,
            env=environment(
                OANDA_API_KEY=venue["token"],
                OANDA_ACCOUNT_ID=venue["account"],
                SEPD_BROKER__REST_URL=url,
                SEPD_BROKER__STREAM_URL=url,
            )
            | extra,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, port

    yield run
    for process in started:
        process.kill()
        process.communicate()


def wait_until(port: int, process: subprocess.Popen[str], seen: Callable[[Any], bool]) -> Any:
    """The first status for which `seen` holds."""
    while process.poll() is None:
        try:
            status = read(f"http://127.0.0.1:{port}/status")
        except OSError:
            continue
        if seen(status):
            return status
    pytest.fail(f"sepd run ended: {process.communicate()}")


@pytest.mark.parametrize("mode", ["paper", "practice"])
def test_a_daemon_runs_on_the_venue_and_stops_when_told(
    start: Callable[..., tuple[subprocess.Popen[str], int]], venue: dict[str, Any], mode: str
) -> None:
    process, port = start("--mode", mode)
    status = wait_until(port, process, lambda s: s["instruments"]["EUR_USD"]["candles"]["M1"] >= 3)
    assert status["mode"] == mode
    assert status["broker"]["ok"]
    assert status["store"]["ok"]
    assert status["cache"]["ok"]
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    account = read(f"http://127.0.0.1:{venue['port']}/v3/venue/state", venue["token"])
    assert account["last_transaction_id"] == "2", "nothing was traded on the account"


@pytest.mark.parametrize(
    ("arguments", "extra", "sentence"),
    [
        ((), {"OANDA_API_KEY": "canary-of-a-wrong-token"}, "token"),
        ((), {"SEPD_INSTRUMENTS": "EUR_XXX"}, "cannot trade EUR_XXX"),
        (("--mode", "live"), {}, "passed evaluation"),
        (("--role", "execute"), {}, "signal files"),
        ((), {"SEPD_DATABASE__URL": "mysql://x"}, "not an address such as"),
    ],
)
def test_what_a_person_must_change_is_a_sentence_and_78(
    start: Callable[..., tuple[subprocess.Popen[str], int]],
    arguments: tuple[str, ...],
    extra: dict[str, str],
    sentence: str,
) -> None:
    process, _ = start(*arguments, **extra)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 78, err
    last = err.strip().splitlines()[-1]
    assert last.startswith("sepd: ")
    assert sentence in last
    assert "Traceback" not in err
    assert "canary" not in err


async def test_of_two_daemons_one_leads_and_the_other_takes_over(
    start: Callable[..., tuple[subprocess.Popen[str], int]],
    database_url: str,
    valkey_url: str,
    tmp_path: Path,
) -> None:
    shared = {
        "DATABASE_URL": database_url,
        "VALKEY_URL": valkey_url,
        "SEPD_BROKER__TIMEOUT_S": "1",
    }
    first, port = start("--mode", "practice", SEPD_DATA_DIR=str(tmp_path / "a"), **shared)
    wait_until(port, first, lambda s: s["events"] > 0)
    second, other = start("--mode", "practice", SEPD_DATA_DIR=str(tmp_path / "b"), **shared)
    assert wait_until(other, second, lambda s: bool(s))["state"] == "starting"
    first.kill()
    first.wait()
    status = wait_until(other, second, lambda s: s["events"] > 0)
    assert status["broker"]["reconciled_at"] is not None


def ctl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sepd", "ctl", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_operator_kills_and_the_switch_survives_a_restart(
    start: Callable[..., tuple[subprocess.Popen[str], int]], tmp_path: Path
) -> None:
    process, port = start("--mode", "practice")
    wait_until(port, process, lambda s: s["events"] > 0)
    done = ctl(tmp_path, "kill", "--reason", "enough")
    assert (done.returncode, done.stdout) == (0, "Killed: no entry leaves until unkill.\n")
    assert read(f"http://127.0.0.1:{port}/status")["risk"]["kill"] == "enough"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    process, port = start("--mode", "practice")
    status = wait_until(port, process, lambda s: s["state"] != "starting")
    assert (status["state"], status["risk"]["kill"]) == ("killed", "enough")
    assert ctl(tmp_path, "unkill").returncode == 0
    assert read(f"http://127.0.0.1:{port}/status")["risk"]["kill"] == ""


def test_a_command_to_nobody_is_a_sentence(tmp_path: Path) -> None:
    done = ctl(tmp_path, "positions")
    assert done.returncode == 1
    assert "No sepd answers at" in done.stderr
