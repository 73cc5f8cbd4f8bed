"""Bringing the faults of a plan about, those that the venue does not make itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from sepd.simulation.faults import CUT_OFF, Fault, Kind
from sepd.simulation.loop import OWNER
from sepd.simulation.machine import STOP_S, Machine
from sepd.simulation.market import PORT, Market
from sepd.simulation.network import NetworkedLoop
from sepd.simulation.store import Database
from sepd.simulation.trace import Trace

FORGET_S = 60.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Injector:
    """Does the faults to the daemon and to everything around it.

    Attributes:
        struck: how often each kind was met.
    """

    def __init__(
        self,
        loop: NetworkedLoop,
        machine: Machine,
        market: Market,
        database: Database,
        trace: Trace,
        other: Callable[[], Machine],
    ) -> None:
        self.struck: Counter[Kind] = Counter()
        self._loop = loop
        self._machine = machine
        self._market = market
        self._database = database
        self._trace = trace
        self._armed: list[Fault] = []
        self._other = other
        self._others: list[tuple[Machine, asyncio.Task[None]]] = []
        self._kills = 0
        self._between = False
        self._lag_s = 0.0
        self._lag_until_s = 0.0
        market.middlewares.append(self._lagging)

    async def run(self, faults: tuple[Fault, ...]) -> None:
        """Each fault at its time."""
        for fault in faults:
            await asyncio.sleep(max(0.0, fault.at_s - self._loop.time()))
            self._trace.note(f"fault {fault}")
            self._strike(fault)

    async def heal(self) -> None:
        """No fault from now on, and one daemon."""
        now_s = self._loop.time()
        weather = self._loop.network.at(PORT)
        weather.refuse_until_s = weather.hole_until_s = weather.stall_until_s = now_s
        store = self._database
        store.away_until_s = store.slow_until_s = store.full_until_s = now_s
        store.forget_until_s = now_s
        self._lag_until_s = now_s
        self._armed.clear()
        store.lock.away_until_s = now_s
        self._machine.skew(0)
        self._machine.attend()
        for other, task in self._others:
            other.rest()
            await task

    def failpoint(self, name: str) -> None:
        """The daemon passes a failpoint; it may die there, or be paused."""
        fault = next((fault for fault in self._armed if fault.detail == name), None)
        process = self._machine.process
        if fault is None or process is None or not process.alive or OWNER.get() != process.owner:
            return
        self._armed.remove(fault)
        self._hit(fault)
        self._trace.note(f"{fault.kind} strikes at {name}")
        if fault.kind is Kind.PAUSED_AT_FAILPOINT:
            process.pause(fault.seconds)
            return
        self._machine.restart_after_s = fault.seconds
        process.die(name, silently=False)

    def _hit(self, fault: Fault) -> None:
        self.struck[fault.kind] += 1

    def _strike(self, fault: Fault) -> None:
        act = {
            Kind.REFUSED: self._refuse,
            Kind.RESET: self._reset,
            Kind.BLACK_HOLE: self._black_hole,
            Kind.STALL: self._stall,
            Kind.HISTORY_LAGS: self._history_lags,
            Kind.CRASH: self._crash,
            Kind.MACHINE_LOST: self._lose_machine,
            Kind.CRASH_AT_FAILPOINT: self._armed.append,
            Kind.PAUSED_AT_FAILPOINT: self._armed.append,
            Kind.CRASH_IN_RECOVERY: self._crash_twice,
            Kind.TERMINATED: self._terminate,
            Kind.PAUSED: self._pause,
            Kind.STORE_AWAY: self._store_away,
            Kind.STORE_SLOW: self._store_slow,
            Kind.STORE_QUEUE_FULL: self._queue_full,
            Kind.COMMIT_UNKNOWN: self._commit_unknown,
            Kind.CACHE_GONE: self._cache_gone,
            Kind.CLOCK_OFF: self._clock_off,
            Kind.KILL_SWITCH: self._kill_switch,
            Kind.SECOND_DAEMON: self._second,
        }.get(fault.kind)
        if act is None:
            return
        act(fault)
        if fault not in self._armed:
            self._hit(fault)

    def _refuse(self, fault: Fault) -> None:
        self._loop.network.at(PORT).refuse_until_s = self._loop.time() + fault.seconds
        self._reset(fault)

    def _reset(self, _: Fault) -> None:
        for pipe in self._loop.network.clients(PORT):
            pipe.reset()
            pipe.peer.reset()

    def _black_hole(self, fault: Fault) -> None:
        self._loop.network.at(PORT).hole_until_s = self._loop.time() + fault.seconds
        for pipe in self._loop.network.clients(PORT):
            pipe.go_dark()

    def _stall(self, fault: Fault) -> None:
        self._loop.network.at(PORT).stall_until_s = self._loop.time() + fault.seconds

    def _history_lags(self, fault: Fault) -> None:
        self._lag_s, self._lag_until_s = fault.seconds, self._loop.time() + 60.0
        self._between = fault.detail == "between"

    @web.middleware
    async def _lagging(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        lags = request.path.endswith("/sinceid") and self._loop.time() < self._lag_until_s
        if not lags or not isinstance(response, web.Response) or response.status != 200:
            return response
        assert isinstance(response.body, bytes)
        return web.json_response(self._behind(msgspec.json.decode(response.body)))

    def _behind(self, body: dict[str, Any]) -> dict[str, Any]:
        """The record without its newest rows, or with the newest of all and a hole before it."""
        ledger = self._market.account.ledger
        shown_ns = self._market.conductor.clock.now_ns() - int(self._lag_s * 1e9)
        hidden = {
            row["id"] for row, at in zip(ledger.rows, ledger.times, strict=True) if at > shown_ns
        }
        rows = body["transactions"]
        if self._between and rows:
            hidden -= {rows[-1]["id"]}
            return body | {"transactions": [row for row in rows if row["id"] not in hidden]}
        shown = [row for row in rows if row["id"] not in hidden]
        first = int(rows[0]["id"]) - 1 if rows else ledger.last_id
        last = shown[-1]["id"] if shown else str(first)
        return body | {"transactions": shown, "lastTransactionID": last}

    def _crash(self, fault: Fault) -> None:
        self._machine.kill(fault.seconds, silently=False)

    def _lose_machine(self, fault: Fault) -> None:
        self._machine.kill(fault.seconds, silently=True)

    def _crash_twice(self, fault: Fault) -> None:
        self._armed.append(fault)
        self._machine.kill(fault.seconds, silently=False)

    def _terminate(self, fault: Fault) -> None:
        """SIGTERM, perhaps while the broker cannot be reached."""
        if fault.detail == CUT_OFF:
            self._black_hole(Fault(Kind.BLACK_HOLE, fault.at_s, STOP_S))
        self._machine.terminate(fault.seconds)

    def _pause(self, fault: Fault) -> None:
        process = self._machine.process
        if process is not None and process.alive:
            process.pause(fault.seconds)

    def _second(self, fault: Fault) -> None:
        """Another daemon on the same account, for a while."""
        other = self._other()
        self._others.append((other, self._loop.create_task(other.run())))
        self._loop.call_later(fault.seconds, other.rest)

    def _kill_switch(self, fault: Fault) -> None:
        """While the broker is away."""
        process = self._machine.process
        if process is None or process.book is None or not process.alive:
            return
        self._refuse(Fault(Kind.REFUSED, fault.at_s, 10.0))
        process.switch(kill=True)
        self._kills += 1
        self._loop.call_later(fault.seconds, self.release_switch, self._kills)

    def release_switch(self, kills: int | None = None) -> None:
        """The operator lets entries go again, however often that takes.

        Args:
            kills: how often the switch had been latched; a later latch is not released.
        """
        if kills is not None and kills != self._kills:
            return
        process = self._machine.process
        if process is not None and process.alive and process.book is not None:
            process.switch(kill=False)
        else:
            self._loop.call_later(1.0, self.release_switch, kills)

    def _clock_off(self, fault: Fault) -> None:
        self._machine.skew(int(float(fault.detail) * 1e9))
        self._loop.call_later(fault.seconds, self._machine.skew, 0)

    def _store_away(self, fault: Fault) -> None:
        """Its tables do not answer, or its server is gone with every session."""
        store, until_s = self._database, self._loop.time() + fault.seconds
        store.away_until_s = until_s
        if fault.detail == "sessions":
            store.lock.away_until_s = until_s
            if store.lock.holder is not None:
                store.lock.end(store.lock.holder.owner)

    def _store_slow(self, fault: Fault) -> None:
        self._database.slow_until_s = self._loop.time() + fault.seconds

    def _queue_full(self, fault: Fault) -> None:
        self._database.full_until_s = self._loop.time() + fault.seconds

    def _commit_unknown(self, fault: Fault) -> None:
        self._database.forget_until_s = self._loop.time() + FORGET_S
        self._database.forget_events = fault.detail != "2"

    def _cache_gone(self, fault: Fault) -> None:
        process = self._machine.process
        if process is not None:
            process.cache.away = True
            self._loop.call_later(fault.seconds, setattr, process.cache, "away", False)
