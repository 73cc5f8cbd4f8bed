"""Operator commands over a Unix socket that only the daemon's own user can open."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog
from aiohttp import web

from sepd.commands import Request, find_command
from sepd.errors import ConfigError, InputError, SepdError

log = structlog.get_logger(__name__)

PATH_MAX = 100
Run = Callable[[str, Request], Awaitable[Any]]


def control_app(run: Run) -> web.Application:
    """POST /api/v1/commands/{name} with a JSON `Request`; the answer is the command's."""

    async def post_command(http: web.Request) -> web.Response:
        try:
            name = find_command(http.match_info["name"]).name
            request = msgspec.json.decode(await http.read() or b"{}", type=Request)
            log.warning("command", name=name, reason=request.reason, flatten=request.flatten)
            return _answer(200, {"ok": True, "result": await run(name, request)})
        except (InputError, msgspec.DecodeError) as error:
            return _answer(400, {"ok": False, "error": str(error)})
        except SepdError as error:
            return _answer(503, {"ok": False, "error": str(error)})

    app = web.Application(client_max_size=16 * 1024)
    app.router.add_post("/api/v1/commands/{name}", post_command)
    return app


def _answer(status: int, body: dict[str, Any]) -> web.Response:
    encoded = msgspec.json.encode(body, enc_hook=str)
    return web.Response(body=encoded, status=status, content_type="application/json")


@asynccontextmanager
async def serve_control(path: Path, run: Run) -> AsyncIterator[None]:
    """Listen on `path` while the context is open.

    Raises:
        ConfigError: the socket cannot be made.
    """
    if len(os.fsencode(path)) > PATH_MAX:
        raise ConfigError(f"{path} is too long for a socket; choose a shorter data_dir.")
    runner = web.AppRunner(control_app(run), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    previous = os.umask(0o177)
    try:
        try:
            _clear(path)
            await web.UnixSite(runner, str(path)).start()
        except OSError as error:
            raise ConfigError(
                f"The control socket {path} cannot be made: {error.strerror}."
            ) from None
        finally:
            os.umask(previous)
        yield
    finally:
        await runner.cleanup()
        _clear(path)


def _clear(path: Path) -> None:
    """Make the folder, remove a socket that a killed daemon left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
