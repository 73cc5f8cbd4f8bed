"""How fast /status answers while the whole loop runs: `python benchmarks/status.py --speed 50`.

Starts the demo at the given speed, asks for /status every 20 ms for `--seconds`, and prints the
percentiles of the answers, with the machine named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from http.client import HTTPConnection


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", default="50")
    parser.add_argument("--tape", default="")
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "sepd", "demo", "--port", str(port), "--json"]
    command += ["--speed", options.speed, *(["--tape", options.tape] if options.tape else [])]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as demo,
    ):
        wait(port, demo)
        answers = sorted(ask(port, options.seconds, demo))
        demo.send_signal(signal.SIGINT)
    last = len(answers) - 1
    print(
        json.dumps(
            {
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "python": platform.python_version(),
                "speed": options.speed,
                "answers": len(answers),
                "p50_ms": round(answers[last // 2], 2),
                "p99_ms": round(answers[last * 99 // 100], 2),
                "max_ms": round(answers[last], 2),
            }
        )
    )


def wait(port: int, demo: subprocess.Popen[bytes]) -> None:
    """Return when the daemon runs."""
    while demo.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as reply:
                if reply.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise SystemExit("the demo ended before it ran")


def ask(port: int, seconds: float, demo: subprocess.Popen[bytes]) -> list[float]:
    """Milliseconds of each answer on one kept-alive connection."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and demo.poll() is None:
        began = time.perf_counter()
        try:
            connection.request("GET", "/status")
            connection.getresponse().read()
        except OSError:
            break
        found.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.02)
    return found


if __name__ == "__main__":
    main()
