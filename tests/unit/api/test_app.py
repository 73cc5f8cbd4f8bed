"""The HTTP application says what the status says, on loopback only."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import pytest
from msgspec.structs import replace

from sepd.api.app import serve
from sepd.api.schema import (
    BrokerStatus,
    InstrumentStatus,
    OrderCounts,
    Percentiles,
    PositionStatus,
    ProfitStatus,
    QueueStatus,
    RiskStatus,
    ServiceStatus,
    SignalCounts,
    Status,
)
from sepd.errors import ConfigError
from sepd.settings import ApiSettings

RUNNING = Status(
    state="running",
    role="all",
    mode="paper",
    version="0",
    uptime_s=1.5,
    config_version="abc",
    queue=QueueStatus(3, 1.25, 0),
    latency_us=Percentiles(10, 20),
    backend="numpy",
    store=ServiceStatus(True),
    cache=ServiceStatus(True),
    broker=BrokerStatus(True, 7, None),
    instruments={"EUR_USD": InstrumentStatus(5, False, 12, {"M1": 3})},
    signals=SignalCounts(2, "01H"),
    orders=OrderCounts(2, 1, {"spread_too_wide": 1}, 0),
    positions=[PositionStatus(9, "EUR_USD", "100", "1.10000", "2014-05-01T00:00:00Z")],
    pl=ProfitStatus(Decimal("1.23450"), Decimal("100001.23450"), "USD"),
    risk=RiskStatus("", Decimal(0), Decimal(3000), {}),
    events=99,
    quotes=90,
    memory_mb=80.0,
    last_error=None,
)


class Daemon:
    """A daemon's status that a test can change."""

    def __init__(self) -> None:
        self.status = RUNNING

    def __call__(self) -> Status:
        return self.status


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
async def client(daemon: Daemon) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serve(ApiSettings(port=0), daemon) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


async def get(client: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with client.get(path, allow_redirects=False) as response:
        return response.status, await response.text()


async def test_status_has_every_field_of_the_contract(client: aiohttp.ClientSession) -> None:
    code, text = await get(client, "/status")
    body: dict[str, Any] = msgspec.json.decode(text)
    assert code == 200
    assert {
        "state", "role", "mode", "version", "uptime_s", "config_version", "queue", "latency_us",
        "backend", "store", "cache", "broker", "instruments", "signals", "orders", "positions",
        "pl", "risk", "last_error",
    } <= body.keys()  # fmt: skip
    assert body["queue"].keys() >= {"depth", "lag_ms"}
    assert body["latency_us"].keys() >= {"p50", "p99"}
    assert body["broker"].keys() >= {"ok", "last_transaction_id", "reconciled_at"}
    assert body["instruments"]["EUR_USD"].keys() >= {
        "last_event_age_ms", "stale", "spread_points", "candles",
    }  # fmt: skip
    assert body["pl"]["realised"] == "1.23450"
    assert (await get(client, "/api/status"))[1] == text


@pytest.mark.parametrize(
    ("state", "status", "healthz", "readyz"),
    [
        ("starting", 503, 200, 503),
        ("running", 200, 200, 200),
        ("degraded", 503, 200, 200),
        ("paused", 200, 200, 200),
        ("killed", 503, 200, 503),
        ("stopping", 503, 503, 503),
    ],
)
async def test_each_state_has_its_answer(
    client: aiohttp.ClientSession,
    daemon: Daemon,
    state: str,
    status: int,
    healthz: int,
    readyz: int,
) -> None:
    daemon.status = replace(RUNNING, state=state)
    assert (await get(client, "/status"))[0] == status
    assert (await get(client, "/healthz"))[0] == healthz
    assert (await get(client, "/readyz"))[0] == readyz


async def test_metrics_are_the_figures_of_the_status(client: aiohttp.ClientSession) -> None:
    code, text = await get(client, "/metrics")
    lines = set(text.splitlines())
    assert code == 200
    assert {
        "sepd_up 1.0",
        "sepd_events_total 99.0",
        'sepd_orders_refused_total{reason="spread_too_wide"} 1.0',
        'sepd_instrument_spread_points{instrument="EUR_USD"} 12.0',
        'sepd_service_up{service="broker"} 1.0',
    } <= lines


async def test_an_occupied_port_is_a_sentence(daemon: Daemon) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1:{port}.*--port"):
            async with serve(ApiSettings(port=port), daemon):
                pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
async def test_the_open_api_is_not_served_beyond_this_machine(daemon: Daemon, host: str) -> None:
    with pytest.raises(ConfigError, match="loopback addresses only"):
        async with serve(ApiSettings(host=host, port=0), daemon):
            pass
