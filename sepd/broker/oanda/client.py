"""`OandaBroker`: an OANDA v20 account behind the `Broker` port."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

import msgspec

from sepd.broker.oanda import requests, translate, wire
from sepd.broker.oanda.calls import Calls
from sepd.broker.oanda.channel import Channel, understood
from sepd.broker.oanda.kept import stay_connected
from sepd.broker.oanda.limits import Urgency
from sepd.broker.oanda.offset import ClockOffset
from sepd.broker.oanda.rest import Rest
from sepd.broker.oanda.stream import (
    UNREADABLE,
    LineCounts,
    PriceLines,
    line_blocks,
    price_batches,
)
from sepd.domain.account import AccountEvent, AccountSnapshot, TransactionHeartbeat
from sepd.domain.market import Candle, Granularity, Heartbeat, Instrument, Quote
from sepd.domain.order import OrderIntent, Outcome, Purpose, Refused
from sepd.domain.time import format_time, parse_time
from sepd.errors import ConfigError, NotSent, TransientError
from sepd.ports import Clock, PriceBatch
from sepd.settings import BrokerSettings

CANDLES_PER_PAGE = 5_000
GAP_WAITS_S = (0.25, 0.5, 1.0, 2.0, 4.0)
_ACCOUNT = wire.decoder(wire.AccountReply)
_CANDLES = wire.decoder(wire.CandlesReply)
_INSTRUMENTS = wire.decoder(wire.InstrumentsReply)
_PRICING = wire.decoder(wire.PricingReply)
_TRANSACTION = wire.decoder(wire.Transaction)
_TRANSACTIONS = wire.decoder(wire.TransactionsReply)


class OandaBroker:
    """An OANDA v20 account, or a server that speaks OANDA v20.

    Args:
        settings: where it is, the token and the account.
        clock: for order expiry and the broker's clock offset.
        rng: jitter; seeded in simulation.
        paced: the server plays a tape no faster than it is acknowledged.
    """

    def __init__(
        self, settings: BrokerSettings, clock: Clock, rng: random.Random, *, paced: bool = False
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._paced = paced
        self._channel = Channel(Rest(settings, rng), settings.account_id)
        self.offset = ClockOffset()
        self.counts = LineCounts()
        self._ready: tuple[OrderIntent | None, bytes] = None, b""

    @property
    def calls(self) -> Calls:
        """Every other call of OANDA v20, under the same limits."""
        return Calls(self._channel)

    @property
    def account_id(self) -> str:
        """The account that orders go to."""
        return self._settings.account_id

    async def open(self) -> None:
        """Connect, check the credentials, learn the instruments.

        Raises:
            ConfigError: token or account are missing or not accepted.
            TransientError: the broker does not answer.
        """
        if not self._settings.api_key.get_secret_value() or not self._settings.account_id:
            raise ConfigError("The broker needs OANDA_API_KEY and OANDA_ACCOUNT_ID.")
        await self._channel.rest.open()
        try:
            await self.instruments()
        except BaseException:
            await self._channel.rest.close()
            raise

    async def close(self) -> None:
        """Close every connection; may be called twice."""
        await self._channel.rest.close()

    async def stay_connected(self) -> None:
        """Keep `broker.ready_connections` free for orders until cancelled; 0: nothing."""
        if self._settings.ready_connections:
            await stay_connected(self._channel.rest, self._settings.ready_connections)

    async def instruments(self) -> Mapping[str, Instrument]:
        """Tradable instruments by name."""
        what = "reading the instruments"
        reply = await self._channel.read(
            what, self._channel.path("/instruments"), _INSTRUMENTS, bulk=True
        )
        with understood(what):
            self._channel.instruments = {
                row.name: translate.instrument(row) for row in reply.instruments
            }
        return dict(self._channel.instruments)

    async def account(self) -> AccountSnapshot:
        """The whole account at one transaction id."""
        what = "reading the account"
        reply = await self._channel.read(what, self._channel.path(""), _ACCOUNT, bulk=True)
        with understood(what):
            return translate.account(reply, self._channel.instruments)

    async def quotes(self, instruments: Sequence[str]) -> Sequence[Quote]:
        """Newest quote of each instrument."""
        what = "reading prices"
        params = {"instruments": ",".join(instruments)}
        reply = await self._channel.read(what, self._channel.path("/pricing"), _PRICING, params)
        lines = PriceLines(self._channel.instruments, self.counts)
        with understood(what):
            return [lines.quote(row) for row in reply.prices]

    async def candles(
        self, instrument: str, granularity: Granularity, from_ns: int, to_ns: int
    ) -> Sequence[Candle]:
        """Complete candles that start in [from_ns, to_ns), oldest first, paged as needed.

        Pages are asked for by `from` and `count`: a `to` beyond the broker's clock is an error.
        """
        with understood("reading candles"):
            of = translate.known(self._channel.instruments, instrument)
        found: list[Candle] = []
        while from_ns < to_ns:
            slots = -(-(to_ns - from_ns) // granularity.ns)
            count = min(slots + 1, CANDLES_PER_PAGE)
            page = await self._candle_page(of, granularity, from_ns, count)
            found += [candle for candle in page.complete if from_ns <= candle.time_ns < to_ns]
            if page.rows < count or page.last_ns < from_ns:
                break
            from_ns = page.last_ns + granularity.ns
        return found

    async def _candle_page(
        self, of: Instrument, granularity: Granularity, from_ns: int, count: int
    ) -> CandlePage:
        what = f"reading {of.name} {granularity} candles"
        params = {
            "price": "BA",
            "granularity": granularity.value,
            "from": format_time(from_ns),
            "count": count,
        }
        path = f"/v3/instruments/{of.name}/candles"
        reply = await self._channel.read(what, path, _CANDLES, params, bulk=True)
        with understood(what):
            complete = tuple(
                translate.candle(row, of, granularity) for row in reply.candles if row.complete
            )
            last_ns = parse_time(reply.candles[-1].time) if reply.candles else -1
        return CandlePage(complete, len(reply.candles), last_ns)

    async def stream_prices(self, instruments: Sequence[str]) -> AsyncIterator[PriceBatch]:
        """Prices as they come; ends with a tape.

        Raises:
            TransientError: silence, a broken connection, or too many unreadable lines.
        """
        params = {"instruments": ",".join(instruments)}
        if self._paced:
            params["paced"] = "true"
        path = self._channel.path("/pricing/stream")
        lines = PriceLines(self._channel.instruments, self.counts)
        async with self._channel.rest.stream("streaming prices", path, params) as content:
            async for batch in price_batches(content, lines, self._settings.silence_s):
                self._observe(batch)
                yield batch

    async def stream_transactions(
        self,
    ) -> AsyncIterator[Sequence[AccountEvent | TransactionHeartbeat]]:
        """Account events from now on; an empty sequence says that the stream is connected.

        Raises:
            TransientError: silence, a broken connection, or any unreadable line: a transaction
                may be lost with it.
        """
        what = "streaming transactions"
        async with self._channel.rest.stream(
            what, self._channel.path("/transactions/stream"), {}
        ) as content:
            yield ()
            async for block in line_blocks(content, self._settings.silence_s):
                try:
                    rows = _TRANSACTION.decode_lines(block)
                except UNREADABLE:
                    self.counts.corrupt += 1
                    raise TransientError(f"{what}: a line cannot be read.") from None
                with understood(what):
                    events = [self._streamed(row) for row in rows]
                yield events
        raise TransientError("The broker ended the transaction stream.")

    def _streamed(self, row: wire.Transaction) -> AccountEvent | TransactionHeartbeat:
        if row.type == "HEARTBEAT":
            return TransactionHeartbeat(parse_time(row.time), row.last_transaction_id or 0)
        return self._channel.event(row)

    async def transactions_since(self, transaction_id: int) -> Sequence[AccountEvent]:
        """All account events after `transaction_id`, complete and in order.

        A missing id may be a row that the broker has not published yet: it is waited for.

        Raises:
            TransientError: an id stays missing.
        """
        found: list[AccountEvent] = []
        waits = iter(GAP_WAITS_S)
        last = transaction_id
        while True:
            page, head = await self._transaction_page(last)
            before = last
            for event in page:
                if event.transaction_id == last + 1:
                    found.append(event)
                    last += 1
            if last >= head:
                return found
            if last > before:
                waits = iter(GAP_WAITS_S)
            else:
                wait_s = next(waits, None)
                if wait_s is None:
                    raise TransientError(
                        f"The broker's transaction {last + 1} is missing although {head} exists."
                    )
                await asyncio.sleep(wait_s)

    async def _transaction_page(self, after: int) -> tuple[Sequence[AccountEvent], int]:
        what = "reading transactions"
        path = self._channel.path("/transactions/sinceid")
        reply = await self._channel.read(what, path, _TRANSACTIONS, {"id": after}, bulk=True)
        with understood(what):
            events = [self._channel.event(row) for row in sorted(reply.transactions, key=_row_id)]
        return events, max([reply.last_transaction_id, *(e.transaction_id for e in events)])

    async def place(self, intent: OrderIntent) -> Outcome:
        """Send `intent` once. Never raises for what became of it: the `Outcome` says it.

        An exit of a named trade closes that trade: sent twice it cannot reduce another, which a
        reduce-only order could. OANDA takes no client id there, so its transactions are known by
        the trade they close.
        """
        of = self._channel.instruments.get(intent.instrument)
        if of is None:
            return Refused("INSTRUMENT_UNKNOWN", f"The account lists no {intent.instrument}.")
        entry = intent.purpose is Purpose.ENTRY
        if not entry and intent.trade_id is not None:
            self.expect(intent)
            path = self._channel.path(f"/trades/{intent.trade_id}/close")
            return await self._channel.send("PUT", path, requests.close_body(intent), Urgency.EXIT)

        def late() -> str:
            expired = entry and self._clock.now_ns() >= intent.expires_ns
            return "The intent expired before it was sent." if expired else ""

        urgency = Urgency.ENTRY if entry else Urgency.EXIT
        return await self._channel.deliver(lambda: self._request(intent), urgency, late)

    def rehearse(self, intent: OrderIntent) -> None:
        """Make the bytes that ask for the entry `intent`, which `place` finds ready if it is the
        next, and look for a connection.
        """
        if intent.instrument in self._channel.instruments:
            with suppress(NotSent):  # `place` will say so
                self._ready = intent, self._compose(intent)
                self._channel.rest.rehearse()

    def _request(self, intent: OrderIntent) -> bytes:
        """The bytes that ask for a new order."""
        ready, request = self._ready
        return request if ready == intent else self._compose(intent)

    def _compose(self, intent: OrderIntent) -> bytes:
        body = requests.order_body(intent, self._channel.instruments[intent.instrument])
        return self._channel.rest.compose("POST", self._channel.path("/orders"), body)

    def expect(self, intent: OrderIntent) -> None:
        """`intent` is an exit that an earlier process may have sent: know its transactions."""
        self._channel.closings.expect(intent)

    async def cancel(self, order_id: int) -> Outcome:
        """Cancel a pending order."""
        path = self._channel.path(f"/orders/{order_id}/cancel")
        return await self._channel.send("PUT", path, None, Urgency.EXIT)

    async def acknowledge(self, token: str) -> None:
        """Tell a paced venue that all up to `token` has been dealt with."""
        await self._channel.rest.acknowledge("/v3/venue/acknowledge", {"token": token})

    def _observe(self, batch: PriceBatch) -> None:
        """A tape's times say nothing about clocks, nor does an old price in a snapshot."""
        beats = (item for item in reversed(batch.items) if isinstance(item, Heartbeat))
        beat = None if self._paced else next(beats, None)
        if beat is not None:
            now_ns, monotonic_ns = self._clock.now_ns(), self._clock.monotonic_ns()
            self.offset.observe(beat.time_ns, now_ns, monotonic_ns)


class CandlePage(msgspec.Struct, frozen=True):
    """One page: its complete candles, how many rows it had, and the start of the last."""

    complete: tuple[Candle, ...]
    rows: int
    last_ns: int


def _row_id(row: wire.Transaction) -> int:
    return row.id
