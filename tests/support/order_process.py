"""A process that trades a fixed plan and may be killed anywhere: started again, it goes on.

`python -m tests.support.order_process JSON` recovers, plays the plan with the faults written in
it, closes everything and says so. The same run name makes the same decisions again, so the same
intents. Prints one JSON line when it is ready and one when it is done.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from sepd.broker.oanda import OandaBroker
from sepd.broker.oanda.requests import LimitOrder
from sepd.clock import SystemClock
from sepd.domain.account import OpenTrade
from sepd.domain.order import Ambiguous, Done, OrderIntent, OrderState, Outcome, Unsent
from sepd.domain.signal import Action, Signal
from sepd.errors import TransientError
from sepd.execution.executor import Executor, Timing
from sepd.execution.exits import ExitFile
from sepd.execution.intent import entry_intent, exit_intent
from sepd.execution.machine import Order
from sepd.execution.operator import Desk, close_trades, kill, unkill
from sepd.execution.reconcile import recover
from sepd.risk.book import Book
from sepd.risk.day import trading_day
from sepd.settings import BrokerSettings
from sepd.storage.postgres import PostgresStore
from tests.support.broker import Fault
from tests.support.trading import make_signal

TIMING = Timing(quiet_window_s=0.15, grace_s=0.02, retry_s=0.05)
ENTRIES = (
    Fault.NONE,
    Fault.LOST_REPLY,
    Fault.NONE,
    Fault.LOST_REQUEST,
    Fault.REJECT,
    Fault.UNSENT,
    Fault.CANCEL,
)
EXITS = (Fault.UNSENT, Fault.LATE, Fault.LOST_REPLY)


class Where(Struct, frozen=True):
    """What the process needs to know; `run` names the decisions."""

    database: str
    settings: dict[str, object]
    api_key: str
    exits: str
    run: str


class TroubledBroker(OandaBroker):
    """The real client, whose replies and requests get lost where `faults` says so."""

    faults: dict[str, Fault]

    async def place(self, intent: OrderIntent) -> Outcome:
        """Place as told."""
        match self.faults.pop(intent.id, Fault.NONE):
            case Fault.UNSENT:
                return Unsent("told to")
            case Fault.LOST_REQUEST:
                return Ambiguous("told to")
            case Fault.LOST_REPLY:
                await super().place(intent)
                return Ambiguous("told to")
            case Fault.REJECT:
                return await super().place(replace(intent, units=intent.units * 10**9))
            case _:
                return await super().place(intent)


class TroubledStore(PostgresStore):
    """The real store, that is away for the intents named in `away`."""

    away: set[str]

    async def commit_intent(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> None:
        """Commit, or be away."""
        if intent.id in self.away:
            raise TransientError("Told to be away.")
        await super().commit_intent(intent, signal, snapshot)


class Trader:
    """Plays the plan of one run."""

    def __init__(self, where: Where, broker: TroubledBroker, store: TroubledStore) -> None:
        self.where = where
        self.broker = broker
        self.store = store
        self.clock = SystemClock()
        self.fenced: set[str] = set()
        self.turned = asyncio.Event()
        self.broker.faults = {}
        self.store.away = set()

    async def recover(self) -> list[str]:
        """The normal start; the kinds of difference found."""
        exits = ExitFile(Path(self.where.exits))
        recovery = await recover(self.broker, self.store, exits)
        snapshot = recovery.snapshot
        self.book = Book(snapshot.currency, await self.broker.instruments())
        self.book.restore(snapshot, recovery.state, self.clock.now_ns())
        self.executor = Executor(
            self.broker,
            self.store,
            self.clock,
            self.book,
            fence=lambda intent: "told to" if intent.id in self.fenced else "",
            observe=self.observe,
            last_transaction_id=snapshot.last_transaction_id,
            timing=TIMING,
            exits=exits,
        )
        self.executor.adopt(recovery.orders)
        return [item.kind for item in recovery.differences]

    def observe(self, _: Order) -> None:
        self.turned.set()

    async def settled(self) -> None:
        """Return when no order is under way, and none waits to be attempted again."""
        while self.book.pending or self.unfinished():
            self.turned.clear()
            await self.turned.wait()
        await self.executor.drain()

    def unfinished(self) -> list[Order]:
        return [one for one in self.executor.orders if one.state is not OrderState.FILLED]

    async def play(self) -> None:
        await unkill(self.desk())
        for number, fault in enumerate(ENTRIES):
            await self.enter(number, fault)
        for number, fault in enumerate(EXITS):
            ours = [trade for trade in self.book.trades.values() if self.entered(trade, number)]
            for trade in ours:
                await self.leave(trade, number, fault)
        await self.settled()
        await close_trades(self.desk(), tuple(self.book.trades.values())[:1], "close")
        await self.settled()
        await self.wait_below()
        await kill(self.desk(), "plan", flatten=True)
        await self.settled()
        await unkill(self.desk())

    async def wait_below(self) -> None:
        """An order far below the market, which the kill finds waiting."""
        order = LimitOrder("EUR_USD", Decimal(1_000), Decimal("0.5"))
        outcome = await self.broker.calls.orders.create(order)
        assert isinstance(outcome, Done)
        self.executor.offer(outcome.events)

    def desk(self) -> Desk:
        return Desk(self.broker, self.store, self.executor, self.book, self.clock, 0.05)

    def signal(self, leg: str, number: int, action: Action) -> Signal:
        made = make_signal(number, action=action, created_ns=self.clock.now_ns())
        return replace(made, id=f"{self.where.run}-{leg}-{number}")

    def entry(self, number: int) -> tuple[OrderIntent, Signal]:
        signal = self.signal("entry", number, Action.BUY)
        intent = entry_intent(
            self.broker.account_id,
            signal,
            units=Decimal(1_000),
            price_bound=110_050,
            stop_loss=109_700,
            take_profit=110_450,
            now_ns=self.clock.now_ns(),
            checkpoint=self.executor.last_transaction_id,
        )
        return intent, signal

    def entered(self, trade: OpenTrade, number: int) -> bool:
        return trade.client_trade_id == self.entry(number)[0].id

    async def enter(self, number: int, fault: Fault) -> None:
        intent, signal = self.entry(number)
        if fault is Fault.CANCEL:
            self.fenced.add(intent.id)
        else:
            self.broker.faults[intent.id] = fault
        await self.executor.submit(intent, signal, b"{}")
        await self.settled()

    async def leave(self, trade: OpenTrade, number: int, fault: Fault) -> None:
        signal = self.signal("exit", number, Action.CLOSE)
        intent = exit_intent(
            self.broker.account_id,
            signal.id,
            trade,
            now_ns=self.clock.now_ns(),
            checkpoint=self.executor.last_transaction_id,
        )
        if fault is Fault.LATE:
            self.store.away.add(intent.id)
        else:
            self.broker.faults[intent.id] = fault
        await self.executor.submit(intent, signal, b"{}")
        await self.settled()


def say(line: dict[str, object]) -> None:
    """One JSON line, at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def main(where: Where) -> None:
    """Recover, play, end."""
    started = asyncio.get_running_loop().time()
    clock = SystemClock()
    settings = BrokerSettings.model_validate(where.settings | {"api_key": where.api_key})
    broker = TroubledBroker(settings, clock, random.Random(1))
    async with AsyncExitStack() as stack:
        await broker.open()
        stack.push_async_callback(broker.close)
        store = TroubledStore(
            where.database,
            instruments=await broker.instruments(),
            trading_day=trading_day,
            clock=clock,
        )
        await store.open()
        stack.push_async_callback(store.close)
        trader = Trader(where, broker, store)
        found = await trader.recover()
        ready_s = asyncio.get_running_loop().time() - started
        say({"ready_s": ready_s, "differences": found})
        async with asyncio.TaskGroup() as group:
            running = group.create_task(trader.executor.run())
            try:
                async with asyncio.timeout(20):
                    await trader.settled()
                    resolved_s = asyncio.get_running_loop().time() - started
                    await trader.play()
            except TimeoutError:
                left = [str(order) for order in trader.executor.orders]
                say({"stuck": left, "applied": trader.executor.last_transaction_id})
                raise
            running.cancel()
        say({"done": True, "resolved_s": resolved_s})


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Where)))
