"""The main job, as a person runs it: real processes, a real database, real prices."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.timeout(240)


class Demo:
    """Runs `sepd demo` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start one; the caller waits for it."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SEPD_")}
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "sepd",
                "demo",
                *(() if "--port" in arguments else ("--port", "0")),
                *arguments,
            ],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, stdout and stderr of a whole run."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=200)
        return process.returncode, out, err

    def summary(self, *arguments: str) -> dict[str, Any]:
        """The JSON object of a run at full speed."""
        status, out, err = self.run("--speed", "max", "--exit", "--json", *arguments)
        assert status == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    def left_running(self) -> list[str]:
        """Servers that still run on this folder's data."""
        return [
            " ".join(process.info["cmdline"])
            for process in psutil.process_iter(["cmdline"])
            if any(str(self.folder) in part for part in process.info["cmdline"] or ())
        ]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    found = Demo(tmp_path_factory.mktemp("demo"))
    yield found
    assert found.left_running() == []


@pytest.fixture(scope="module")
def sample(demo: Demo) -> dict[str, Any]:
    return demo.summary()


def test_the_sample_goes_through_the_whole_loop(sample: dict[str, Any]) -> None:
    assert sample["candles_in"] == sample["candles_stored"] == 5000
    assert sample["signals"] > 0
    assert sample["orders"] > 20
    assert sample["filled"] + sum(sample["refused"].values()) == sample["orders"]
    assert sample["filled"] > 0
    assert sample["peak_rss_mb"] <= 200


def test_money_agrees_to_the_last_digit_in_daemon_store_and_venue(sample: dict[str, Any]) -> None:
    change = Decimal(sample["venue_balance_change"])
    assert change != 0
    assert Decimal(sample["realised_pl"]) == Decimal(sample["trading_results_pl"]) == change


def sepd(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sepd", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_decision_replays_from_the_journal(demo: Demo, sample: dict[str, Any]) -> None:
    done = sepd(demo.folder, "replay", "--database", "sepd_demo", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)["result"]
    assert result["decisions"] == sample["signals"]
    assert result["events"] == sample["events_in"]
    assert result["differences"] == []


def test_a_trade_explains_itself(demo: Demo, sample: dict[str, Any]) -> None:
    done = sepd(demo.folder, "explain", sample["last_signal"], "--database", "sepd_demo", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["witness"]["decision"]["signal"]["id"] == sample["last_signal"]
    assert set(told["witness"]["bits"]["H1"]) <= {"0", "1"}
    assert told["story"]["orders"][0]["state"] in {"FILLED", "CLOSED"}
    assert len(told["story"]["fills"]) >= 1


def test_an_id_that_nobody_knows_is_a_sentence(demo: Demo, sample: dict[str, Any]) -> None:
    done = sepd(demo.folder, "explain", "nobody", "--database", "sepd_demo")
    assert done.returncode == 2
    assert "'nobody' is no signal, intent, order or trade of the store" in done.stderr


def test_a_second_run_decides_the_same(demo: Demo, sample: dict[str, Any]) -> None:
    again = demo.summary()
    assert again["decisions_sha256"] == sample["decisions_sha256"]
    assert again["realised_pl"] == sample["realised_pl"]
    assert again["candles_stored"] == 5000


def test_speed_does_not_change_what_is_decided(demo: Demo, sample: dict[str, Any]) -> None:
    status, out, err = demo.run("--speed", "2000", "--exit", "--json")
    assert status == 0, err
    assert json.loads(out)["decisions_sha256"] == sample["decisions_sha256"]


def test_staying_awake_does_not_change_what_is_decided(demo: Demo, sample: dict[str, Any]) -> None:
    cpu = min(os.sched_getaffinity(0))
    (demo.folder / "awake.toml").write_text(f"[process]\nawake_on = {cpu}\n", "utf-8")
    with demo.start("--speed", "max", "--exit", "--json", "--config", "awake.toml") as process:
        daemon = psutil.Process(process.pid)
        while process.poll() is None and daemon.cpu_affinity() != [cpu]:
            time.sleep(0.01)
        assert process.poll() is None, "it never kept to its core"
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    awake = json.loads(out)
    assert awake["filled"] == sample["filled"]
    assert awake["decisions_sha256"] == sample["decisions_sha256"]


def test_an_interrupt_ends_everything_and_loses_nothing(demo: Demo) -> None:
    port = free_port()
    process = demo.start("--speed", "200", "--json", "--port", str(port))
    wait_for_candles(port, process)
    family = psutil.Process(process.pid).children(recursive=True)
    assert {"postgres", "redis-server"} <= {child.name() for child in family}
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert summary["candles_in"] == summary["candles_stored"] > 0
    assert summary["quotes_in"] == summary["quotes_stored"]
    assert summary["realised_pl"] == summary["trading_results_pl"]
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_candles(port: int, process: subprocess.Popen[str]) -> None:
    """Return once /status says that candles have been built."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as reply:
                if json.load(reply)["instruments"]["EUR_USD"]["candles"]["H1"] > 10:
                    return
        except OSError:
            continue
    pytest.fail(f"the demo ended before it built candles: {process.communicate()}")


def test_quotes_arrive_complete_and_fast(demo: Demo, sepd_data: Path) -> None:
    tape = sepd_data / "oanda/EUR_USD.tick.csv.gz"
    summary = demo.summary("--tape", str(tape))
    assert summary["tape_rows"] == summary["quotes_sent"] == summary["quotes_in"] == 321_559
    assert summary["quotes_stored"] == 321_559
    assert summary["candles_in"] == summary["candles_stored"]
    assert summary["realised_pl"] == summary["trading_results_pl"]
    assert summary["peak_rss_mb"] <= 200


def refused(demo: Demo, *arguments: str) -> tuple[int, str]:
    """Status and the sentence of a run that must not start."""
    status, out, err = demo.run("--speed", "max", "--exit", *arguments)
    assert out == ""
    assert "Traceback" not in err
    return status, err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("time,bid,ask\n", "no row is legal"),
        ("time,bid,ask\n2014-05-01T00:00:00Z,nan,1.2\n", "no row is legal (1 nan)"),
        ("some,other,header\n1,2,3\n", "unknown header"),
    ],
)
def test_a_tape_without_prices_is_a_sentence(demo: Demo, text: str, sentence: str) -> None:
    tape = demo.folder / "EUR_USD.csv"
    tape.write_text(text)
    status, said = refused(demo, "--tape", str(tape))
    assert status == 2
    assert said.startswith("sepd: ")
    assert sentence in said


def test_a_missing_tape_is_a_sentence(demo: Demo) -> None:
    status, said = refused(demo, "--tape", "nowhere/EUR_USD.csv")
    assert status == 2
    assert said == "sepd: nowhere/EUR_USD.csv: cannot be read: No such file or directory."


def test_bad_rows_are_counted_by_reason_and_the_rest_goes_on(demo: Demo) -> None:
    rows = ["time,bid,ask", *(f"2014-05-01T00:{m:02d}:00Z,1.10000,1.10010" for m in range(30))]
    rows[5] = "2014-05-01T00:04:00Z,nan,1.10010"
    rows[6] = "2014-05-01T00:05:00Z,0,1.10010"
    rows[7] = "2014-05-01T00:06:00Z,-1.1,1.10010"
    rows[8] = "2014-05-01T00:07:00Z,1.10020,1.10010"
    rows[9] = "2014-05-01T00:02:30Z,1.10000,1.10010"
    rows[11] = rows[10]
    tape = demo.folder / "EUR_USD.csv"
    tape.write_text("\n".join(rows) + "\n")
    summary = demo.summary("--tape", str(tape))
    assert summary["rows_rejected"] == {
        "nan": 1, "zero": 1, "negative": 1, "crossed": 1, "out of order": 1, "duplicate": 1,
    }  # fmt: skip
    assert summary["quotes_in"] == summary["tape_rows"] == 24
    assert [row["row"] for row in summary["rejected_rows"]] == [6, 7, 8, 9, 10, 12]


def test_an_occupied_port_is_a_sentence(demo: Demo) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, said = refused(demo, "--port", str(port))
    assert status == 78
    assert f"cannot listen on 127.0.0.1:{port}" in said


def test_an_unknown_key_names_key_and_file(demo: Demo) -> None:
    file = demo.folder / "wrong.toml"
    file.write_text("[risk]\nmax_unit = 5\n")
    status, said = refused(demo, "--config", str(file))
    assert status == 78
    assert said == f"sepd: {file}: unknown key 'risk.max_unit'. Did you mean 'max_units'?"


def test_an_unreachable_database_is_a_sentence(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://sepd:canary-9d1@127.0.0.1:1/sepd")
    status, said = refused(demo)
    assert status in {1, 78}
    assert "127.0.0.1:1" in said
    assert "canary" not in said


def test_a_data_folder_that_cannot_be_written_is_a_sentence(demo: Demo) -> None:
    file = demo.folder / "elsewhere.toml"
    file.write_text('data_dir = "/proc/sepd"\n')
    status, said = refused(demo, "--config", str(file))
    assert status == 78
    assert "/proc/sepd" in said
    assert "cannot be written" in said
