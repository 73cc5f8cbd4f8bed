"""The HTTP application: status, health, readiness, metrics."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sepd.api.metrics import registry
from sepd.api.schema import Status
from sepd.errors import ConfigError
from sepd.settings import ApiSettings

StatusSource = Callable[[], Status]


_encoder = msgspec.json.Encoder(decimal_format="string")


def create_app(status: StatusSource) -> web.Application:
    """An application that answers from `status()`; it keeps no state of its own."""
    metrics = registry(status)

    async def get_status(_: web.Request) -> web.Response:
        now = status()
        return web.Response(
            body=_encoder.encode(now),
            status=200 if now.healthy else 503,
            content_type="application/json",
        )

    async def get_health(_: web.Request) -> web.Response:
        alive = status().state != "stopping"
        return web.Response(text="ok\n" if alive else "stopping\n", status=200 if alive else 503)

    async def get_ready(_: web.Request) -> web.Response:
        state = status().state
        ready = state in {"running", "degraded", "paused"}
        return web.Response(text=f"{state}\n", status=200 if ready else 503)

    async def get_metrics(_: web.Request) -> web.Response:
        body = generate_latest(metrics)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def get_root(_: web.Request) -> web.Response:
        raise web.HTTPFound("/status")

    app = web.Application(client_max_size=64 * 1024)
    app.router.add_get("/", get_root)
    app.router.add_get("/status", get_status)
    app.router.add_get("/api/status", get_status)
    app.router.add_get("/healthz", get_health)
    app.router.add_get("/readyz", get_ready)
    app.router.add_get("/metrics", get_metrics)
    return app


def check_open_address(settings: ApiSettings) -> None:
    """Refuse to serve the open status page beyond this machine.

    Raises:
        ConfigError: `api.host` is not a loopback address.
    """
    host = settings.host
    if host == "localhost":
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    raise ConfigError(
        f"api.host = {host!r}: the API has no login, so it serves loopback addresses only; "
        "use 127.0.0.1 and an SSH tunnel."
    )


@asynccontextmanager
async def serve(settings: ApiSettings, status: StatusSource) -> AsyncIterator[int]:
    """Serve while the context is open; yields the port.

    Raises:
        ConfigError: the address is taken, forbidden, or open to other machines.
    """
    check_open_address(settings)
    runner = web.AppRunner(create_app(status), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"The API cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
                "Stop what uses the port, or choose another with --port or api.port."
            ) from None
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def to_json(status: Status) -> bytes:
    """The body of `/status`."""
    return _encoder.encode(status)
