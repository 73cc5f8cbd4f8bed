"""The shell of the order state machine: performs what the machine asks for.

One executor owns the orders of an account. `submit` starts an order and returns, so that the
consumer of market data never waits for the broker; `run` carries the orders out. Account events
from replies, from the transaction stream and from scans go through one door, `offer`, and are
applied in the order of their ids, each once: to the store, to the ledger, to the orders.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence

import structlog
from msgspec import Struct

from sepd.domain.account import AccountEvent, OrderFilled
from sepd.domain.order import Done, OrderIntent, OrderState, Purpose, Refused
from sepd.domain.signal import Signal
from sepd.errors import InvariantViolated, TransientError
from sepd.execution import machine
from sepd.execution.durable import Job, job_of, make_durable, verify
from sepd.execution.exits import ExitFile
from sepd.execution.failpoints import failpoint
from sepd.execution.intent import repeated
from sepd.execution.jobs import Jobs
from sepd.execution.ledger import Ledger
from sepd.execution.machine import FINAL, UNDECIDED, Order
from sepd.execution.transactions import Transactions
from sepd.ports import Broker, Clock, Store

log = structlog.get_logger(__name__)
REMEMBERED = 4_096


class Timing(Struct, frozen=True):
    """Durations of execution, seconds.

    `quiet_window_s` must be longer than a request may linger on its way to the broker.
    `grace_s` is how long the transaction stream may take to close a hole before it is read.
    """

    quiet_window_s: float = 15.0
    grace_s: float = 0.25
    retry_s: float = 1.0


class Executor:
    """Carries intents out and keeps the account's record.

    Args:
        ledger: the risk book; only this executor reserves, releases and applies on it.
        fence: called right before sending; a non-empty answer is why the order may not be sent.
        observe: told of every order that changed.
        last_transaction_id: newest id that the store has applied.
        workers: entries on their way at the same time; 1 makes transaction ids deterministic.
            Exits have workers of their own, a quarter as many.
        queue: entries that may wait; more are refused. Exits are never refused.
        exits: where exits are kept that the database cannot take; None sends none without it.
    """

    def __init__(
        self,
        broker: Broker,
        store: Store,
        clock: Clock,
        ledger: Ledger,
        *,
        fence: Callable[[OrderIntent], str] = lambda _: "",
        observe: Callable[[Order], None] = lambda _: None,
        last_transaction_id: int = 0,
        workers: int = 8,
        queue: int = 256,
        exits: ExitFile | None = None,
        timing: Timing = Timing(),  # noqa: B008 - frozen
    ) -> None:
        self._broker = broker
        self._store = store
        self._clock = clock
        self._ledger = ledger
        self._fence = fence
        self._observe = observe
        self._queue = queue
        self._exits = exits
        self._timing = timing
        self._transactions = Transactions(
            broker,
            store,
            self._booked,
            applied=last_transaction_id,
            grace_s=timing.grace_s,
            retry_s=timing.retry_s,
        )
        self._orders: dict[str, Order] = {}
        self._jobs: dict[str, Job] = {}
        self._trades: dict[int, str] = {}
        self._adopted: deque[str] = deque()
        self._ended: deque[str] = deque()
        self._kept: set[str] = set()
        self._retrying: set[int] = set()
        self._entries = Jobs(self._carry, workers)
        self._leaving = Jobs(self._carry, -(-workers // 4))
        self._unfinished = 0
        self._group: asyncio.TaskGroup | None = None

    @property
    def last_transaction_id(self) -> int:
        """Newest transaction applied: the checkpoint of an intent formed now."""
        return self._transactions.applied

    @property
    def idle(self) -> bool:
        """Whether no submission is on its way."""
        return not self._unfinished

    @property
    def orders(self) -> tuple[Order, ...]:
        """Orders that are not at their end."""
        return tuple(order for order in self._orders.values() if order.state not in FINAL)

    @property
    def writing(self) -> asyncio.Lock:
        """Held while an event goes into store and ledger: whoever has it sees them agree."""
        return self._transactions.writing

    def adopt(self, orders: Sequence[Order]) -> None:
        """Take over orders that an earlier process left; `run` or `settle` resolves them."""
        for order in orders:
            self._broker.expect(order.intent)
            self._orders[order.intent.id] = order
            self._adopted.append(order.intent.id)
            self._trades |= dict.fromkeys(order.trades, order.intent.id)
            if order.state is not OrderState.FILLED:
                self._ledger.reserve(order.intent)
            if order.state in UNDECIDED:
                self._ledger.block(order.intent.instrument, order.intent.id)

    async def run(self) -> None:
        """Carry out, apply and resolve until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._transactions.run(), name="execution.apply")
            group.create_task(self._entries.run(), name="execution.entries")
            group.create_task(self._leaving.run(), name="execution.exits")
            await self._resolve_adopted()

    async def settle(self, stored: Sequence[Order]) -> bool:
        """Bring to its end what the store holds undecided; nothing is sent for it.

        An order that has ended here gets its end recorded: the answer to a commit may have been
        lost. One that nobody here knows is taken over and resolved as at a start.

        Returns:
            Whether the end of an order was recorded.
        """
        undecided = [order for order in stored if order.state in UNDECIDED]
        known = [self._orders.get(order.intent.id) for order in undecided]
        ended = [order for order in known if order is not None and order.state in FINAL]
        for order in ended:
            await self._record(order)
        self.adopt([order for order in undecided if order.intent.id not in self._orders])
        if self._group is not None:
            await self._resolve_adopted()
        return bool(ended)

    async def _resolve_adopted(self) -> None:
        while self._adopted:
            await self._step(self._adopted.popleft(), machine.Recovered())

    async def submit(self, intent: OrderIntent, signal: Signal, snapshot: bytes) -> str:
        """Take an intent over and return at once; an answer that is not empty is why not."""
        failpoint("submit.before_reserve")
        if intent.id in self._orders:
            return "duplicate_intent"
        if intent.trade_id is not None and self._ledger.exits(intent.trade_id):
            return "exit_pending"
        if intent.purpose is Purpose.ENTRY and self._entries.waiting >= self._queue:
            return "queue_full"
        self._orders[intent.id] = Order(intent)
        self._jobs[intent.id] = job_of(intent, signal, snapshot, self._clock)
        self._ledger.reserve(intent)
        failpoint("submit.after_reserve")
        self._unfinished += 1
        leaving = intent.purpose is Purpose.EXIT
        (self._leaving if leaving else self._entries).put(intent.id)
        failpoint("submit.after_enqueue")
        return ""

    def rehearse(self, intent: OrderIntent) -> None:
        """Go through what comes before `intent` would be sent; nothing is any different after."""
        order, _ = machine.handle(Order(intent), machine.Committed())
        machine.handle(order, machine.Cleared())
        self._broker.rehearse(intent)

    def offer(self, events: Sequence[AccountEvent]) -> None:
        """Hand over account events from wherever they came, in any order."""
        self._transactions.offer(events)

    def note(self, transaction_id: int) -> None:
        """The account's newest transaction id, from a heartbeat: something may be missing."""
        self._transactions.note(transaction_id)

    async def restored(self, intent_ids: Sequence[str]) -> None:
        """Exits that only a file held are in the store; say there how far they have come."""
        for intent_id in intent_ids:
            self._kept.discard(intent_id)
            if intent_id in self._orders:
                await self._record(self._orders[intent_id])

    async def drain(self, transaction_id: int = 0) -> None:
        """Return when all submissions so far, and all transactions known, have been applied.

        Holes are read from the broker at once instead of waiting for the stream. Orders of
        unknown fate are not waited for: their pair is blocked. Needs `run` to be running.
        """
        self._transactions.note(transaction_id)
        await self._transactions.settle(lambda: not self._unfinished)

    async def _carry(self, intent_id: str) -> None:
        """Carry out one intent: commit, verify, send, record."""
        failpoint("work.dequeued")
        asyncio.get_running_loop().call_soon(self._prepare, intent_id)
        answer = await make_durable(self._store, self._exits, self._jobs[intent_id])
        if isinstance(answer, machine.Committed) and not answer.stored:
            self._kept.add(intent_id)
        await self._step(intent_id, answer)
        self._unfinished -= 1
        await self._transactions.moved()

    def _prepare(self, intent_id: str) -> None:
        """While an entry's commit is on its way, go through what comes next."""
        order = self._orders.get(intent_id)
        if order and order.state is OrderState.NEW and order.intent.purpose is Purpose.ENTRY:
            self.rehearse(order.intent)

    async def _step(self, intent_id: str, item: machine.Input) -> None:
        """One step of one order, and what follows from it."""
        for command in self._transition(intent_id, item):
            order = self._orders[intent_id]
            match command:
                case machine.Verify():
                    job, killed = self._jobs[intent_id], self._ledger.killed
                    answer = verify(job, self._clock, killed, self._fence)
                    await self._step(intent_id, answer)
                case machine.Send():
                    await self._send(order.intent)
                case machine.Record():
                    await self._record(order)

    def _transition(self, intent_id: str, item: machine.Input) -> list[machine.Command]:
        """Move the order and do at once what needs no waiting; the rest is the caller's."""
        before = self._orders[intent_id]
        order, commands = machine.handle(before, item)
        if order is before and not commands:
            return []
        self._orders[intent_id] = order
        self._trades |= dict.fromkeys(order.trades, intent_id)
        rest = [command for command in commands if not self._do(order, command)]
        if order.state in FINAL and before.state not in FINAL:
            self._forget_oldest(order)
        if order is not before:
            self._observe(order)
        return rest

    def _do(self, order: Order, command: machine.Command) -> bool:
        """Perform `command` if that needs no waiting."""
        intent = order.intent
        match command:
            case machine.Release():
                failpoint("release.before")
                self._ledger.release(intent.id)
                failpoint("release.after")
            case machine.Block():
                failpoint("block.before")
                self._ledger.block(intent.instrument, intent.id)
                failpoint("block.after")
            case machine.Unblock():
                self._ledger.unblock(intent.instrument, intent.id)
                failpoint("unblock.after")
            case machine.Scan(from_id):
                self._spawn(self._scan(intent.id, from_id))
            case machine.Wait():
                self._spawn(self._wait(intent.id))
            case machine.Repeat() if intent.id in self._jobs and intent.trade_id is not None:
                self._retrying.add(intent.trade_id)
                self._spawn(self._repeat(self._jobs[intent.id], intent.trade_id))
            case machine.Repeat():
                self._ledger.release(intent.id)
            case _:
                return False
        return True

    async def _send(self, intent: OrderIntent) -> None:
        failpoint("send.before")
        outcome = await self._broker.place(intent)
        failpoint("send.after")
        if isinstance(outcome, Done | Refused):
            self.offer(outcome.events)
        if isinstance(outcome, Done):
            self.note(outcome.last_transaction_id)
        failpoint(f"outcome.{type(outcome).__name__.lower()}")
        await self._step(intent.id, outcome)
        failpoint("outcome.applied")

    async def _record(self, order: Order) -> None:
        """Commit a state, unless the broker's record has moved the order on meanwhile.

        A state that cannot be committed is no loss: recovery comes to the same one by itself.
        """
        failpoint("record.before")
        async with self._transactions.writing:
            moved_on = self._orders[order.intent.id].state is not order.state
            if moved_on or order.intent.id in self._kept:
                return
            try:
                await self._store.record_order_state(
                    order.intent.id, order.state, order.order_id, order.reason
                )
            except TransientError as error:
                log.warning("state_not_recorded", intent=order.intent.id, reason=str(error))
        failpoint("record.after")

    def _booked(self, event: AccountEvent) -> None:
        """An event is in the store: tell the ledger and the orders that it concerns."""
        self._ledger.apply(event)
        concerned = {getattr(event, "client_order_id", "")}
        if isinstance(event, OrderFilled):
            closed = {part.trade_id for part in event.closed}
            self._retrying -= closed
            concerned |= {self._trades.pop(trade_id, "") for trade_id in closed}
            concerned |= {one.intent.id for one in self.orders if one.intent.trade_id in closed}
        for intent_id in sorted(concerned & self._orders.keys()):
            if machine.Record() in self._transition(intent_id, event):
                self._spawn(self._record(self._orders[intent_id]))

    async def _scan(self, intent_id: str, from_id: int) -> None:
        """Read the broker's record until it has been read completely, then say what it holds."""
        while True:
            failpoint("scan.before")
            try:
                events = await self._broker.transactions_since(from_id)
                break
            except TransientError as error:
                log.warning("scan_failed", intent=intent_id, reason=str(error))
                await asyncio.sleep(self._timing.retry_s)
        failpoint("scan.after")
        found = [event for event in events if getattr(event, "client_order_id", "") == intent_id]
        if not found:
            failpoint("scan.absent")
            self.offer(events)
            await self._step(intent_id, machine.Absent())
            return
        failpoint("scan.found")
        known = [event for event in found if event.transaction_id <= self.last_transaction_id]
        for event in known:
            self._transition(intent_id, event)
        if known:
            await self._record(self._orders[intent_id])
        self.offer(events)

    async def _wait(self, intent_id: str) -> None:
        failpoint("quiet.before")
        await asyncio.sleep(self._timing.quiet_window_s)
        failpoint("quiet.after")
        await self._step(intent_id, machine.QuietElapsed())

    async def _repeat(self, job: Job, trade_id: int) -> None:
        """Attempt an exit again, later each time, unless its trade has been closed meanwhile."""
        failpoint("repeat.before")
        await asyncio.sleep(self._timing.retry_s * min(job.intent.attempt + 1, 30))
        self._ledger.release(job.intent.id)
        if trade_id in self._retrying:
            self._retrying.discard(trade_id)
            again = repeated(
                job.intent, now_ns=self._clock.now_ns(), checkpoint=self.last_transaction_id
            )
            await self.submit(again, job.signal, job.snapshot)
        self._observe(self._orders[job.intent.id])
        failpoint("repeat.after")

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        if self._group is None:
            raise InvariantViolated("Orders are resolved only while the executor runs.")
        self._group.create_task(work)

    def _forget_oldest(self, order: Order) -> None:
        """Remember ended orders for a while: late evidence must find them."""
        self._ended.append(order.intent.id)
        if len(self._ended) > REMEMBERED:
            oldest = self._ended.popleft()
            self._orders.pop(oldest, None)
            self._jobs.pop(oldest, None)
