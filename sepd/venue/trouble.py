"""The faults of a script, done to requests and to the lines of streams."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web

from sepd.venue.context import answer, call_of, context, in_time_format
from sepd.venue.errors import Refusal
from sepd.venue.faults import Fault

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def trouble(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the script have its way with a request."""
    venue = context(request)
    if request.path.startswith("/v3/venue/"):
        return await handler(request)
    fault = venue.plan.request(call_of(request), venue.conductor.playback.now_ns)
    if fault is None:
        return await handler(request)
    if fault.kind == "later":
        return await _apply_later(request, handler, fault)
    if fault.when == "before":
        early = await _strike(request, fault)
        return early if early is not None else await handler(request)
    done = await handler(request)
    late = await _strike(request, fault)
    return late if late is not None else done


async def _strike(request: web.Request, fault: Fault) -> web.StreamResponse | None:
    """Delay, drop or answer; None lets the request go on."""
    if fault.kind == "delay":
        # What has arrived counts, although the client may be gone before it is applied.
        await request.read()
        await asyncio.sleep(fault.seconds)
        return None
    if fault.kind == "drop":
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)
    return _reply(request, fault)


def _reply(request: web.Request, fault: Fault) -> web.Response:
    if fault.body:
        return web.Response(text=fault.body, status=fault.status, content_type=fault.content_type)
    sentence = (
        "Timeout waiting for response."
        if fault.status == 504
        else f"The venue was told to answer {fault.status}."
    )
    return answer(request, {"errorMessage": sentence}, fault.status)


async def _apply_later(request: web.Request, handler: Handler, fault: Fault) -> web.StreamResponse:
    """Answer at once, apply `seconds` later: the reply says nothing of what becomes of it."""
    await request.read()

    async def apply() -> None:
        await asyncio.sleep(fault.seconds)
        # Nobody waits for the answer any more, so a refusal is heard by nobody.
        with suppress(Refusal, web.HTTPException):
            await handler(request)

    context(request).conductor.background(apply())
    return _reply(request, fault)


class LineWriter:
    """Writes the lines of one stream, with whatever trouble the script has for them."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response
        self._venue = context(request)
        self._call = call_of(request)
        self._plain = not self._venue.plan.touches_lines(self._call)
        self._silent_until = 0
        self._late: list[tuple[int, bytes]] = []

    async def write(self, lines: bytes) -> None:
        """Write whole lines.

        Raises:
            ConnectionResetError: the client is gone, or the script cut it off.
        """
        encoded = in_time_format(self._request, lines)
        if self._plain:
            await self._response.write(encoded)
            return
        out = b"".join([self._line(line) for line in encoded.splitlines(keepends=True)])
        if out:
            await self._response.write(out)
        if self._silent_until < 0:
            await self._cut()

    async def _cut(self) -> None:
        # What was written must leave before the connection is cut, or no half line is seen.
        await asyncio.sleep(0)
        if self._request.transport is not None:
            self._request.transport.close()
        raise ConnectionResetError("The script cut the stream.")

    def _line(self, line: bytes) -> bytes:
        """What the client sees instead of `line`."""
        now_ns = self._venue.conductor.clock.monotonic_ns()
        due = b"".join(held for until, held in self._late if until <= now_ns)
        self._late = [item for item in self._late if item[0] > now_ns]
        if self._silent_until < 0 or now_ns < self._silent_until:
            return b""
        fault = self._venue.plan.line(self._call, self._venue.conductor.playback.now_ns)
        return due + (line if fault is None else self._harmed(line, fault, now_ns))

    def _harmed(self, line: bytes, fault: Fault, now_ns: int) -> bytes:
        until_ns = now_ns + int(fault.seconds * 1e9)
        if fault.kind == "silence":
            self._silent_until = until_ns
        elif fault.kind == "half_open":
            self._silent_until = 1 << 62
        elif fault.kind == "late":
            self._late.append((until_ns, line))
        elif fault.kind == "cut":
            self._silent_until = -1
            return line[: len(line) // 2]
        changed = {
            "duplicate": line * 2,
            "truncate": line[: len(line) // 2] + b"\n",
            "garbage": (fault.body or "<html>Bad Gateway</html>").encode() + b"\n",
        }
        return changed.get(fault.kind, b"")
