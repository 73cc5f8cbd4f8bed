"""The HTTP application: authorisation, errors as JSON, and the routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from sepd.venue.conductor import Conductor
from sepd.venue.context import REQUEST_ID, VENUE, Context, answer, context
from sepd.venue.errors import Refusal
from sepd.venue.faults import NO_FAULTS, FaultPlan, FaultScript
from sepd.venue.limits import Gate, Limits
from sepd.venue.routes import accounts, candles, control, orders, positions, pricing, trades
from sepd.venue.routes import transactions as transaction_routes
from sepd.venue.trouble import trouble

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_FIRST_REQUEST = 42_000_000_000_000_000


def create_app(
    conductor: Conductor, script: FaultScript = NO_FAULTS, limits: Limits | None = None
) -> web.Application:
    """The venue's application; `conductor.run()` must run beside it.

    Args:
        conductor: the venue, its clock included.
        script: trouble to make.
        limits: what a client may do; None for no limits.
    """
    middlewares = [_identify, _explain, _authorise, _limit, trouble]
    app = web.Application(middlewares=middlewares, client_max_size=1 << 20)
    gate = None if limits is None else Gate(limits, conductor.clock)
    app[VENUE] = Context(conductor, FaultPlan(script), gate)
    for module in (accounts, orders, trades, positions, pricing, candles, control):
        app.router.add_routes(module.routes)
    app.router.add_routes(transaction_routes.routes)
    return app


@web.middleware
async def _identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Number each request, so that its transactions can name it."""
    venue = context(request)
    venue.requests += 1
    request[REQUEST_ID] = str(_FIRST_REQUEST + venue.requests)
    response = await handler(request)
    if not response.prepared:
        response.headers["RequestID"] = request[REQUEST_ID]
    return response


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refusals and HTTP errors as OANDA error bodies."""
    try:
        return await handler(request)
    except Refusal as refused:
        code = {"errorCode": refused.code} if refused.code else {}
        return answer(request, {**code, "errorMessage": str(refused)}, refused.status)
    except web.HTTPMethodNotAllowed as error:
        message = f"The method {request.method} is not allowed here."
        allowed = ",".join(sorted(error.allowed_methods))
        return answer(request, {"errorMessage": message}, 405, {"Allow": allowed})
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return answer(request, {"errorMessage": error.reason}, error.status)


@web.middleware
async def _authorise(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The token must be the venue's, and the account its only one."""
    config = context(request).account.config
    if request.headers.get("Authorization") != f"Bearer {config.token}":
        raise Refusal(401, "Insufficient authorization to perform request.")
    if request.match_info.get("account", config.account_id) != config.account_id:
        raise Refusal(403, "The provided request was forbidden.")
    return await handler(request)


@web.middleware
async def _limit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Requests, streams and connections beyond the limits are refused."""
    gate = context(request).gate
    if gate is None or request.path.startswith("/v3/venue/"):
        return await handler(request)
    transport = request.transport
    if transport is not None and not gate.allows_connection(transport.get_extra_info("peername")):
        transport.abort()
        return web.Response(status=503)
    streams = context(request).conductor.streams
    opened = len(streams.prices) + len(streams.transactions)
    if request.path.endswith("/stream") and not gate.allows_stream(opened):
        raise Refusal(429, "Too many streams are open.")
    if not gate.allows_request():
        raise Refusal(429, "Too many requests in this second.")
    return await handler(request)
