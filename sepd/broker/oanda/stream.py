"""OANDA's chunked streams: blocks of lines, the silence watchdog, prices at speed.

A stream that brings no complete line for `silence_s` is dead, whatever its socket says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

import aiohttp
import msgspec

from sepd.broker.oanda import translate, wire
from sepd.domain.market import Heartbeat, Instrument, Quote
from sepd.domain.time import parse_time
from sepd.errors import InputError, TransientError
from sepd.ports import PriceBatch

LINE_LIMIT = 1 << 20
CORRUPT_LIMIT = 0
_CACHED = 1 << 16
_LINE = wire.decoder(wire.StreamLine)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


async def line_blocks(content: aiohttp.StreamReader, silence_s: float) -> AsyncIterator[bytes]:
    """Complete lines as they arrive, many to a block; ends where the broker ends the body.

    Raises:
        TransientError: silence, or a line of more than `LINE_LIMIT` bytes.
    """
    loop = asyncio.get_running_loop()
    rest = b""
    heard_s = loop.time()
    while True:
        try:
            async with asyncio.timeout_at(heard_s + silence_s):
                part = await content.readany()
        except TimeoutError:
            raise TransientError(f"The stream has been silent for {silence_s:g} s.") from None
        if not part:
            return
        end = part.rfind(b"\n") + 1
        if not end:
            rest += part
            if len(rest) > LINE_LIMIT:
                raise TransientError(f"The stream sent a line of more than {LINE_LIMIT} bytes.")
            continue
        yield rest + part[:end]
        rest = part[end:]
        # Time that the consumer took is not the broker's silence.
        heard_s = loop.time()


class LineCounts:
    """What the streams of a client could not use: unreadable lines, impossible prices."""

    def __init__(self) -> None:
        self.corrupt = 0
        self.refused = 0


class PriceLines:
    """Lines of one price stream as quotes and heartbeats. Pure, and quick: no Decimal is made.

    Args:
        instruments: what may occur; their precision turns price texts into points.
        counts: where unusable lines are counted.
        corrupt_limit: so many unreadable lines are skipped; one more ends the stream. A line may
            hold the only quote of its candle, and only the repair after a reconnect can tell.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        counts: LineCounts,
        corrupt_limit: int = CORRUPT_LIMIT,
    ) -> None:
        self._digits = {name: item.display_precision for name, item in instruments.items()}
        self._points: dict[str, dict[wire.PriceText, int]] = {name: {} for name in instruments}
        self._minutes: dict[str, int] = {}
        self._counts = counts
        self._corrupt_left = corrupt_limit
        self._after: int | None = None
        self.ended = False

    def batches(self, block: bytes) -> Iterator[PriceBatch]:
        """What a block of lines brought.

        A batch ends at each line with a token and before each line with a new transaction id, so
        that the order of prices and transactions does not depend on how the bytes arrived.

        Raises:
            TransientError: too many unreadable lines.
        """
        items: list[Quote | Heartbeat] = []
        after: int | None = None
        for line in self._lines(block):
            if line.after_transaction is not None and line.after_transaction != self._after:
                if items:
                    yield PriceBatch(tuple(items), after)
                    items = []
                after = self._after = line.after_transaction
            item = self._item(line)
            if item is not None:
                items.append(item)
            self.ended |= line.tape_end
            if line.token is not None:
                yield PriceBatch(tuple(items), after, str(line.token))
                items, after = [], None
        if items or after is not None:
            yield PriceBatch(tuple(items), after)

    def _lines(self, block: bytes) -> Iterable[wire.StreamLine]:
        """All lines in one pass; only a block that holds a bad line is read line by line."""
        try:
            return _LINE.decode_lines(block)
        except UNREADABLE:
            return list(self._readable(block.splitlines()))

    def _readable(self, lines: Sequence[bytes]) -> Iterator[wire.StreamLine]:
        for line in filter(bytes.strip, lines):
            try:
                yield _LINE.decode(line)
            except UNREADABLE:
                self._counts.corrupt += 1
                self._corrupt_left -= 1
                if self._corrupt_left < 0:
                    raise TransientError("The price stream sends unreadable lines.") from None

    def _item(self, line: wire.StreamLine) -> Quote | Heartbeat | None:
        """The value of a line; None for a type that is new to us or a price that cannot be."""
        try:
            if line.type == "PRICE":
                return self.quote(line)
            if line.type == "HEARTBEAT":
                return Heartbeat(self._time(line.time))
        except InputError:
            self._counts.refused += 1
        return None

    def quote(self, line: wire.StreamLine) -> Quote:
        """Best bid and ask; the close-out prices where the book is empty."""
        name = line.instrument
        bids, asks = line.bids, line.asks
        tradeable = line.tradeable
        if tradeable is None:
            tradeable = line.status == "tradeable"
        if len(bids) == 1 and len(asks) == 1:
            bid, ask = self._price(name, bids[0].price), self._price(name, asks[0].price)
        elif bids and asks:
            bid = max(self._price(name, step.price) for step in bids)
            ask = min(self._price(name, step.price) for step in asks)
        elif line.closeout_bid is not None and line.closeout_ask is not None:
            bid, ask = self._price(name, line.closeout_bid), self._price(name, line.closeout_ask)
            tradeable = False
        else:
            raise InputError(f"The price of {name[:40]} has no bid or no ask.")
        return Quote(name, self._time(line.time), bid, ask, tradeable)

    def _price(self, name: str, text: wire.PriceText) -> int:
        """Points of a price text; texts repeat, so they are remembered up to a bound."""
        cache = self._points.get(name)
        if cache is None:
            raise InputError(f"The stream names an instrument {name[:40]!r} that is not listed.")
        points = cache.get(text)
        if points is None:
            points = translate.points(text, self._digits[name])
            if len(cache) >= _CACHED:
                cache.clear()
            cache[text] = points
        return points

    def _time(self, text: str) -> int:
        """`parse_time`, with the minute remembered and nine decimals read in one step."""
        digits = text[17:19] + text[20:29]
        plain = len(text) == 30 and text[19] == "." and text[29] == "Z" and text.isascii()
        if not plain or not digits.isdecimal() or digits >= "6":
            return parse_time(text)
        minute = self._minutes.get(text[:17])
        if minute is None:
            if len(self._minutes) >= _CACHED:
                self._minutes.clear()
            minute = self._minutes[text[:17]] = parse_time(text[:17] + "00Z")
        return minute + int(digits)


async def price_batches(
    content: aiohttp.StreamReader, lines: PriceLines, silence_s: float
) -> AsyncIterator[PriceBatch]:
    """Batches until the tape's end.

    Raises:
        TransientError: silence, too many unreadable lines, or an end without the tape's.
    """
    async for block in line_blocks(content, silence_s):
        for batch in lines.batches(block):
            yield batch
        if lines.ended:
            return
    raise TransientError("The broker ended the price stream.")
