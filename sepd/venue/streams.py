"""The open streams: what waits to be written to each, and how much may wait.

A paced price stream receives every line and makes the tape wait for it. An unpaced one gets at
most one price per instrument in 250 ms of venue time, the newest; so does one that reads too
slowly. A transaction stream loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from sepd.domain.time import format_time
from sepd.venue.ledger import Row
from sepd.venue.lines import heartbeat
from sepd.venue.playback import Block
from sepd.venue.recording import Recording

WINDOW_NS = 250_000_000
_BACKLOG = 256


class PriceStream:
    """One client's price stream; `wanted` are instruments, None for all of them."""

    def __init__(self, wanted: frozenset[str] | None, paced: bool) -> None:
        self.wanted = wanted
        self.paced = paced
        self.sent = 0
        self._waiting: list[tuple[str, str]] = []
        self._held: dict[str, tuple[int, str]] = {}
        self._window_end: dict[str, int] = {}
        self._room = asyncio.Event()
        self._filled = asyncio.Event()
        self._closed = False
        self._room.set()

    async def read(self) -> str | None:
        """The next lines to write, in one text; None when the venue closes the stream."""
        await self._filled.wait()
        lines, self._waiting = self._waiting, []
        self._room.set()
        if not self._closed:
            self._filled.clear()
        elif not lines:
            return None
        self.sent += sum(1 for name, _ in lines if name)
        return "".join(text for _, text in lines)

    async def feed(self, lines: list[str]) -> None:
        """Wait until the client has taken what was there before, then leave `lines`."""
        await self._room.wait()
        if not self._closed:
            self._waiting += [("price", line) for line in lines]
            self._room.clear()
            self._filled.set()

    def offer(self, name: str, time_ns: int, line: str) -> None:
        """Leave a price, or hold it back until its 250 ms window ends."""
        if time_ns < self._window_end.get(name, 0):
            self._held[name] = (time_ns, line)
            return
        self._held.pop(name, None)
        self._window_end[name] = time_ns + WINDOW_NS
        self._put(name, line)

    def release(self, now_ns: int) -> None:
        """Let go of prices whose window has ended."""
        for name, (_, line) in list(self._held.items()):
            if now_ns >= self._window_end[name]:
                del self._held[name]
                self._window_end[name] += WINDOW_NS
                self._put(name, line)

    def note(self, line: str) -> None:
        """Leave a line that is no recorded quote: a heartbeat, the close of a market."""
        self._put("", line)

    def close(self) -> None:
        """End the stream once what waits is written."""
        self._closed = True
        self._room.set()
        self._filled.set()

    def _put(self, name: str, line: str) -> None:
        if not self.paced and len(self._waiting) >= _BACKLOG:
            self._waiting = list({item[0]: item for item in self._waiting}.values())
        self._waiting.append((name, line))
        self._filled.set()


class TransactionStream:
    """One client's transaction stream."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def read(self) -> bytes | None:
        """The next line; None when the venue closes the stream."""
        return await self._queue.get()

    def put(self, line: bytes) -> None:
        """Leave a line."""
        self._queue.put_nowait(line)

    def close(self) -> None:
        """End the stream once what waits is written."""
        self._queue.put_nowait(None)


class Streams:
    """All open streams of the venue."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        # In the order in which they connected: two runs are alike to the last byte.
        self.prices: dict[PriceStream, None] = {}
        self.transactions: dict[TransactionStream, None] = {}
        self.closed = False
        self._sent_before = 0
        self._joined = asyncio.Event()

    @property
    def sent(self) -> int:
        """Prices written to clients, those that have left included."""
        return self._sent_before + sum(stream.sent for stream in self.prices)

    def add(self, stream: PriceStream | TransactionStream) -> None:
        """A client connected."""
        if isinstance(stream, PriceStream):
            self.prices[stream] = None
            self._joined.set()
        else:
            self.transactions[stream] = None
        if self.closed:
            stream.close()

    def remove(self, stream: PriceStream | TransactionStream) -> None:
        """A client went away; nothing waits for it any more."""
        stream.close()
        if isinstance(stream, PriceStream):
            if stream in self.prices:
                self._sent_before += stream.sent
                del self.prices[stream]
        else:
            self.transactions.pop(stream, None)

    async def joined(self, paced: bool) -> None:
        """Return when a price stream is connected, a paced one if so asked."""
        while not any(stream.paced or not paced for stream in self.prices):
            self._joined.clear()
            await self._joined.wait()

    async def feed(self, block: Block, lines: list[str], now_ns: int) -> None:
        """Give `lines`, one for each row of `block`, to every price stream; wait for the paced."""
        names, which = self._recording.names, self._recording.which[block.start : block.stop]
        for stream in list(self.prices):
            if stream.paced:
                await stream.feed(self._wanted(stream, lines, which.tolist()))
            else:
                times = self._recording.times[block.start : block.stop].tolist()
                for number, time_ns, line in zip(which.tolist(), times, lines, strict=True):
                    if stream.wanted is None or names[number] in stream.wanted:
                        stream.offer(names[number], time_ns, line)
                stream.release(now_ns)

    def _wanted(self, stream: PriceStream, lines: list[str], which: list[int]) -> list[str]:
        if stream.wanted is None:
            return lines
        names = self._recording.names
        return [
            line
            for number, line in zip(which, lines, strict=True)
            if names[number] in stream.wanted
        ]

    def note(self, name: str, line: str) -> None:
        """Give `line` to the price streams that want instrument `name`."""
        for stream in self.prices:
            if stream.wanted is None or name in stream.wanted:
                stream.note(line)

    def release(self, now_ns: int) -> None:
        """Let go of held prices whose window has ended."""
        for stream in self.prices:
            stream.release(now_ns)

    def beat(self, now_ns: int, last_transaction_id: int, fields: str = "") -> None:
        """A heartbeat on every stream; `fields` go to the price streams only."""
        line = heartbeat(now_ns, fields)
        for prices in self.prices:
            prices.note(line)
        body = transaction_heartbeat(now_ns, last_transaction_id)
        for transactions in self.transactions:
            transactions.put(body)

    def publish(self, rows: Iterable[Row]) -> None:
        """New transactions on every transaction stream."""
        for row in rows:
            line = msgspec.json.encode(row) + b"\n"
            for stream in self.transactions:
                stream.put(line)

    def close(self) -> None:
        """End every stream."""
        self.closed = True
        for prices in self.prices:
            prices.close()
        for transactions in self.transactions:
            transactions.close()


def transaction_heartbeat(now_ns: int, last_transaction_id: int) -> bytes:
    """A HEARTBEAT line of the transaction stream."""
    beat = {
        "type": "HEARTBEAT",
        "lastTransactionID": str(last_transaction_id),
        "time": format_time(now_ns),
    }
    return msgspec.json.encode(beat) + b"\n"
