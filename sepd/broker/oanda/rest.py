"""HTTP to OANDA: one session, deadlines, size caps, limits, and foreign errors mapped once.

Requests share keep-alive connections and one throttle; every new connection, streams included,
passes the connection throttle. A write is sent at most once, by an `Exchange`.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from sepd.broker.oanda import wire
from sepd.broker.oanda.attempt import Attempt, Connector
from sepd.broker.oanda.exchange import BODY_LIMIT, Exchange, whole
from sepd.broker.oanda.limits import Throttle, Urgency
from sepd.errors import BrokerRejected, ConfigError, NotSent, TransientError
from sepd.settings import BrokerSettings
from sepd.supervise import Backoff

BULK_LIMIT = 32 << 20
KEPT_S = 30.0  # a connection that nobody uses is closed
STREAM_BUFFER = 1 << 15
HOSTS = {
    "practice": ("https://api-fxpractice.oanda.com", "https://stream-fxpractice.oanda.com"),
    "live": ("https://api-fxtrade.oanda.com", "https://stream-fxtrade.oanda.com"),
}
MAX_REQUESTS_PER_S = 100.0
_BURST = 5.0
_CLOSED = "The broker client is closed."
_JSON = {"Content-Type": "application/json"}
_VISIBLE = re.compile(r"[!-~]*")
_encode = msgspec.json.Encoder().encode
_ERROR = wire.decoder(wire.ErrorBody)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Rest:
    """Requests to one OANDA account's server.

    Args:
        rng: jitter of the pauses that 429 answers call for.
    """

    def __init__(self, settings: BrokerSettings, rng: random.Random) -> None:
        rest_url, stream_url = HOSTS[settings.environment]
        self.rest_url = (settings.rest_url or rest_url).rstrip("/")
        self.stream_url = (settings.stream_url or settings.rest_url or stream_url).rstrip("/")
        self._settings = settings
        rate = min(settings.requests_per_s, MAX_REQUESTS_PER_S - _BURST)
        self.requests = Throttle(rate, _BURST, reserve=1.0)
        self.connections = Throttle(settings.connections_per_s, burst=1.0)
        self._penalty = Backoff(rng)
        self._session: aiohttp.ClientSession | None = None
        self._exchange: Exchange | None = None

    async def open(self) -> None:
        """Make the session, unless there is one; nothing is sent.

        Raises:
            ConfigError: the address or the token cannot be.
        """
        if self._session is not None:
            return
        server, key = _server(self.rest_url), self._settings.api_key.get_secret_value()
        if _VISIBLE.fullmatch(key) is None:
            raise ConfigError("The token holds a character no token has: check OANDA_API_KEY.")
        connector = Connector(
            self.connections, limit=40, keepalive_timeout=KEPT_S, ttl_dns_cache=60
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.timeout_s),
            headers={"Authorization": f"Bearer {key}", "Accept-Datetime-Format": "RFC3339"},
            cookie_jar=aiohttp.DummyCookieJar(),
            raise_for_status=False,
        )
        self._exchange = Exchange(self._session, connector, server, self._settings.timeout_s)

    async def close(self) -> None:
        """Close every connection; may be called twice."""
        session, self._session, self._exchange = self._session, None, None
        if session is not None:
            await session.close()

    async def read[T](
        self,
        what: str,
        path: str,
        decoder: msgspec.json.Decoder[T],
        *,
        params: Mapping[str, str] | None = None,
        bulk: bool = False,
    ) -> T:
        """GET `path` and decode it.

        Raises:
            TransientError: no usable answer; asking again may help.
            ConfigError: the token is not accepted.
            BrokerRejected: the broker understood and refused.
        """
        attempt = Attempt(what)
        status, body = await self._request(
            attempt, "GET", path, params=params, limit=BULK_LIMIT if bulk else BODY_LIMIT
        )
        if status != 200:
            raise self._refusal(what, status, body)
        try:
            return decoder.decode(body)
        except _UNREADABLE as error:
            raise TransientError(f"{what}: the answer cannot be understood: {error}") from None

    @property
    def kept(self) -> int:
        """How many connections are kept and free."""
        return 0 if self._exchange is None else self._exchange.kept

    async def touch(self, path: str, *, fresh: bool) -> None:
        """GET `path` over the kept connection used longest ago, or a new one; any answer will do.

        Raises:
            NotSent: no connection was made.
            TransientError: no answer.
        """
        await self._request(Attempt("keeping a connection", fresh=fresh), "GET", path)

    async def write(
        self,
        what: str,
        compose: Callable[[], bytes],
        urgency: Urgency,
        fence: Callable[[], str],
    ) -> tuple[int, bytes]:
        """Send once; returns status and body, whatever they are.

        Args:
            compose: gives the bytes of the request, as the method of this name does.
            fence: asked right before the request would leave; a reason it gives stops it.

        Raises:
            NotSent: the request certainly did not leave.
            OutcomeUnknown: it may have been applied.
        """
        attempt = Attempt(what, writes=True, urgency=urgency)
        request = compose()
        with attempt:
            if not self.requests.take(urgency):
                async with asyncio.timeout(self._settings.timeout_s):
                    await self.requests.acquire(urgency)
            answer = await self._writing.send(request, fence)
        self._heed(answer[0])
        return answer

    def compose(self, method: str, path: str, body: Mapping[str, Any] | None) -> bytes:
        """All the bytes of a request that writes.

        Raises:
            NotSent: the client is closed.
        """
        return self._writing.compose(method, path, b"" if body is None else _encode(body))

    def rehearse(self) -> None:
        """Look for a connection as a request that writes does; none is used.

        Raises:
            NotSent: the client is closed.
        """
        with Attempt("rehearsing", writes=True):
            self._writing.rehearse()

    async def acknowledge(self, path: str, body: Mapping[str, Any]) -> None:
        """POST to a paced venue; outside the limits, which are OANDA's and not the venue's.

        Raises:
            TransientError: it was not acknowledged; doing so again is harmless.
        """
        attempt = Attempt("acknowledging the tape")
        status, answer = await self._request(attempt, "POST", path, body=body, limited=False)
        if status >= 300:
            raise self._refusal(attempt.what, status, answer)

    @asynccontextmanager
    async def stream(
        self, what: str, path: str, params: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of an endless GET. Bodies are asked for uncompressed, so that lines flush.

        Raises:
            TransientError, ConfigError, BrokerRejected: as for `read`.
        """
        attempt = Attempt(what)
        with attempt:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self._settings.timeout_s):
                    await self.requests.acquire()
                    response = await stack.enter_async_context(
                        self._opened.get(
                            self.stream_url + path,
                            params=params,
                            headers={"Accept-Encoding": "identity"},
                            allow_redirects=False,
                            read_bufsize=STREAM_BUFFER,
                        )
                    )
                    if response.status != 200:
                        body = await whole(response.content, BODY_LIMIT)
                        raise self._refusal(what, response.status, body)
                yield response.content

    async def _request(
        self,
        attempt: Attempt,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        limited: bool = True,
        limit: int = BODY_LIMIT,
    ) -> tuple[int, bytes]:
        with attempt:
            async with asyncio.timeout(self._settings.timeout_s):
                if limited:
                    await self.requests.acquire()
                async with self._opened.request(
                    method,
                    self.rest_url + path,
                    params=params,
                    data=None if body is None else _encode(body),
                    headers=None if body is None else _JSON,
                    allow_redirects=False,
                ) as response:
                    status = response.status
                    content = b"" if status == 429 else await whole(response.content, limit)
        self._heed(status)
        return status, content

    def _heed(self, status: int) -> None:
        """A 429 makes everybody pause, the next one in a row for longer."""
        if status == 429:
            self.requests.pause(self._penalty.next_s())
        else:
            self._penalty.reset()

    def _refusal(self, what: str, status: int, body: bytes) -> Exception:
        """The error, by reaction, of an answer that is not 200."""
        if status in {401, 403}:
            return ConfigError(
                f"{what}: {self.rest_url} does not accept the token for this account ({status}). "
                "Tokens belong to one environment: check OANDA_API_KEY, OANDA_ACCOUNT_ID and "
                "broker.environment."
            )
        if 400 <= status < 500 and status not in {408, 429}:
            try:
                error = _ERROR.decode(body)
            except _UNREADABLE:
                error = wire.ErrorBody()
            if error.error_code or error.error_message:
                reason = error.error_code or f"HTTP_{status}"
                return BrokerRejected(reason, f"{what}: {error.error_message or reason}")
        return TransientError(f"{what}: the broker answered {status}.")

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise NotSent(_CLOSED)
        return self._session

    @property
    def _writing(self) -> Exchange:
        if self._exchange is None:
            raise NotSent(_CLOSED)
        return self._exchange


def _server(url: str) -> URL:
    """`url`, which must be a server's.

    Raises:
        ConfigError: it is not.
    """
    try:
        server = URL(url)
    except ValueError:
        server = URL()
    if server.scheme not in {"http", "https"} or not server.host:
        raise ConfigError(f"broker.rest_url: {url} is not the address of an HTTP server.")
    return server
