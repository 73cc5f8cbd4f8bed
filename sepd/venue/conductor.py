"""The pace of the tape: real time times N, as fast as it is read, or step by step.

At full speed or in lockstep the tape stands before its first quote until a paced price stream
connects; otherwise it does not wait. With a lockstep granularity it stops at each quote that closes
a candle until that is acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Literal

import msgspec
from msgspec import Struct

from sepd.ports import Clock
from sepd.venue.engine import Engine
from sepd.venue.lines import LineEncoder, with_fields
from sepd.venue.playback import Block, Playback
from sepd.venue.streams import PriceStream, Streams
from sepd.venue.views_market import halt_line

HEARTBEAT_NS = 5_000_000_000
Speed = float | Literal["max", "step"]
_STRIDE = 1_024
_SHORTEST_NAP_S = 0.005
_LONGEST_NAP_S = 0.25


class _Pause(Struct):
    """A stop of the tape: the line that asked for it and the acknowledgement it waits for."""

    token: str
    line: str
    acknowledged: asyncio.Event


class Conductor:
    """Plays `playback` to `streams` at `speed`; `clock` gives real time."""

    def __init__(
        self, playback: Playback, encoder: LineEncoder, clock: Clock, speed: Speed
    ) -> None:
        self.playback = playback
        self.streams = Streams(playback.recording)
        self.speed = speed
        self._encoder = encoder
        self.clock = clock
        self._published = self.engine.account.ledger.last_id
        self._pause: _Pause | None = None
        self._pauses = 0
        self._stepping = asyncio.Lock()
        self._moving = False
        self._finished = False
        self._halted: set[str] = set()
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def engine(self) -> Engine:
        """The account that the tape is played to."""
        return self.playback.engine

    @property
    def tape_over(self) -> bool:
        """Whether venue time has reached the tape's end."""
        return self._finished

    async def run(self) -> None:
        """Play the tape to its end, then keep the streams alive; never returns."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._keep_alive())
            tasks.create_task(self._play())

    def background(self, work: Coroutine[None, None, None]) -> None:
        """Let `work` go on beside the tape; it ends with the venue."""
        assert self._tasks is not None, "the venue runs"
        self._tasks.create_task(work)

    async def advance(self, quotes: int | None, until_ns: int | None) -> None:
        """Play so many quotes, or up to an instant (`step` only)."""
        async with self._stepping:
            stop = len(self.playback.recording)
            if quotes is not None:
                stop = min(stop, self.playback.position + quotes)
            while self.playback.position < stop:
                rows = min(_STRIDE, stop - self.playback.position)
                block = (
                    self.playback.advance(rows)
                    if until_ns is None
                    else self.playback.advance(rows, until_ns)
                )
                if block.start == block.stop:
                    break
                await self._tell(block)
            if until_ns is not None:
                self._pass_time(min(until_ns, self.playback.recording.end_ns))
            self.streams.release(self.playback.now_ns)
            over = until_ns is not None and until_ns >= self.playback.recording.end_ns
            if self.playback.ended and (over or until_ns is None) and not self._finished:
                self._finish("")

    def acknowledge(self, token: str) -> bool:
        """Let the tape move on from the pause named `token`; False if it is not there."""
        if self._pause is None or self._pause.token != token:
            return False
        self._pause.acknowledged.set()
        return True

    def publish(self) -> None:
        """Give transactions that are new since the last call to the transaction streams."""
        ledger = self.engine.account.ledger
        if self._published < ledger.last_id:
            self.streams.publish(ledger.since(self._published))
            self._published = ledger.last_id

    def snapshot(self, stream: PriceStream) -> list[str]:
        """The newest price of each instrument that `stream` wants; the line of a pause again."""
        if stream.paced and self._pause is not None:
            return [self._pause.line]
        recording = self.playback.recording
        found = (recording.last_row(n, self.playback.position) for n in range(len(recording.own)))
        rows = sorted(row for row in found if row is not None)
        return [line for row in rows for line in self._encoder.lines(row, row + 1, stream.wanted)]

    async def _play(self) -> None:
        if self.speed == "step":
            return
        if self.speed == "max" or self.playback.lockstep is not None:
            await self.streams.joined(paced=True)
        self._moving = self.speed != "max"
        await (self._play_fast() if self.speed == "max" else self._play_timed(float(self.speed)))
        self._moving = False
        paced = any(stream.paced for stream in self.streams.prices)
        pause = self._new_pause("") if paced else None
        self._finish(pause.token if pause else "")

    async def _play_fast(self) -> None:
        while not self.playback.ended:
            await self.streams.joined(paced=True)
            await self._tell(self.playback.advance(_STRIDE))

    async def _play_timed(self, speed: float) -> None:
        """Sleep to the next quote or heartbeat; what is due together is sent together."""
        origin_ns, began_ns = self.playback.now_ns, self.clock.monotonic_ns()
        beat_ns = origin_ns + HEARTBEAT_NS
        end_ns = self.playback.recording.end_ns
        while not (self.playback.ended and self.playback.now_ns >= end_ns):
            due_ns = min(self.playback.next_ns, beat_ns)
            now_ns = origin_ns + int((self.clock.monotonic_ns() - began_ns) * speed)
            nap_s = (due_ns - now_ns) / speed / 1e9
            await asyncio.sleep(min(max(nap_s, _SHORTEST_NAP_S), _LONGEST_NAP_S))
            now_ns = origin_ns + int((self.clock.monotonic_ns() - began_ns) * speed)
            now_ns = min(now_ns, end_ns)
            block = self.playback.advance(_STRIDE, now_ns)
            await self._tell(block)
            if self.playback.next_ns > now_ns or self.playback.ended:
                self._pass_time(now_ns)
            if now_ns >= beat_ns:
                self._beat()
                beat_ns = now_ns - (now_ns - origin_ns) % HEARTBEAT_NS + HEARTBEAT_NS

    async def _tell(self, block: Block) -> None:
        """Publish what `block` caused and send it; wait where it closes a candle."""
        self.publish()
        if block.start == block.stop:
            return
        lines = self._encoder.lines(block.start, block.stop)
        pause = None
        if block.closes and self.speed != "step" and self._awaited(block.stop - 1):
            pause = self._new_pause(lines[-1])
            lines[-1] = pause.line
        await self.streams.feed(block, lines, self.playback.now_ns)
        if pause is not None:
            await pause.acknowledged.wait()
            self._pause = None

    def _awaited(self, row: int) -> bool:
        """Whether a paced stream receives the quote at `row`, so that someone can acknowledge."""
        recording = self.playback.recording
        name = recording.names[int(recording.which[row])]
        return any(
            stream.paced and (stream.wanted is None or name in stream.wanted)
            for stream in self.streams.prices
        )

    def _pass_time(self, now_ns: int) -> None:
        """Let venue time pass without a quote, and say which markets closed meanwhile."""
        self.playback.pass_time(now_ns)
        self.publish()
        self.streams.release(self.playback.now_ns)
        account = self.engine.account
        halted = {name for name in account.market.quotes if account.halted(name)}
        for name in sorted(halted - self._halted):
            self.streams.note(name, halt_line(account, account.market.quotes[name]))
        self._halted = halted

    def _new_pause(self, line: str) -> _Pause:
        self._pauses += 1
        token = str(self._pauses)
        fields = f'"afterTransaction":"{self.engine.account.ledger.last_id}","token":"{token}"'
        paused_line = with_fields(line, fields) if line else ""
        self._pause = _Pause(token, paused_line, asyncio.Event())
        return self._pause

    def _finish(self, token: str) -> None:
        """The last heartbeat, at the tape's end."""
        self.playback.pass_time(self.playback.recording.end_ns)
        self._finished = True
        self.publish()
        last = self.engine.account.ledger.last_id
        fields = {"afterTransaction": str(last), **({"token": token} if token else {})}
        extra = msgspec.json.encode({**fields, "tapeEnd": True}).decode()[1:-1]
        self.streams.beat(self.playback.now_ns, last, extra)

    def _beat(self) -> None:
        self.streams.beat(self.playback.now_ns, self.engine.account.ledger.last_id)

    async def _keep_alive(self) -> None:
        """Heartbeats while the tape stands still."""
        while True:
            await asyncio.sleep(HEARTBEAT_NS / 1e9)
            if not self._moving:
                self._beat()
