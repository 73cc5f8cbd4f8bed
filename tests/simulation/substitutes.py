"""What stands in place of a safeguard that is switched off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
from msgspec.structs import replace

from sepd.broker.oanda.client import OandaBroker
from sepd.broker.oanda.exchange import Exchange
from sepd.broker.oanda.stream import PriceLines
from sepd.domain.account import AccountEvent
from sepd.domain.market import Gap, Quote
from sepd.domain.order import Ambiguous, OrderIntent, Unsent
from sepd.errors import TransientError
from sepd.execution import machine, reconcile
from sepd.execution.durable import Job, verify
from sepd.execution.executor import Executor, Timing
from sepd.execution.machine import Committed, Order
from sepd.execution.reconcile import Recovery
from sepd.execution.sequencer import Sequencer
from sepd.execution.transactions import Transactions
from sepd.feed.producer import Producer, Verdict
from sepd.feed.transactions import TransactionFeed
from sepd.ports import Broker, Clock, Store
from sepd.risk import standing_rules
from sepd.risk.book import Book
from sepd.risk.gate import assess
from sepd.simulation.store import Content
from sepd.storage.audit import ORIGIN, AuditRow, chained

Substitutions = Mapping[str, object]
WIDE = 10**9


def nothing(*_: Any, **__: Any) -> None:
    """In place of something that acts."""


async def for_ever(*_: Any) -> None:
    """In place of something that raises one day."""
    await asyncio.Event().wait()


async def nothing_async(*_: Any, **__: Any) -> None:
    """In place of something that waits."""


def without(field: str) -> Callable[..., dict[str, Any]]:
    """The body of an order without one of its fields."""
    from sepd.broker.oanda.requests import order_body

    def body(*given: Any) -> dict[str, Any]:
        made = order_body(*given)
        made["order"].pop(field, None)
        return made

    return body


def unlimited(**limits: object) -> Substitutions:
    """The gate with limits that nothing reaches."""

    def judged(request: Any, book: Any, given: Any) -> Any:
        return assess(request, book, given.model_copy(update=limits))

    return {"sepd.decide.assess": judged}


def unruled(*names: str) -> Substitutions:
    """The gate without some of its rules."""
    left = tuple(rule for rule in standing_rules.RULES if rule.__name__ not in names)
    assert len(left) + len(names) == len(standing_rules.RULES)
    return {"sepd.risk.standing_rules.RULES": left}


async def durable_in_name(*_: Any) -> Committed:
    """Says that an intent is durable without making it so."""
    return Committed()


def verified_late(job: Job, clock: Clock, killed: str, fence: Any) -> Any:
    """The last check before sending, blind to the expiry."""
    late = replace(job.intent, expires_ns=1 << 62)
    return verify(replace(job, intent=late, until_ns=1 << 62), clock, killed, fence)


async def place_late(self: Any, intent: OrderIntent) -> Any:
    """The client does not look at the expiry."""
    return await PLACE(self, replace(intent, expires_ns=1 << 62))


PLACE = OandaBroker.place


async def send_again(self: Exchange, *request: Any) -> tuple[int, bytes]:
    """A client that repeats what a broken connection left without an answer."""
    try:
        return await SEND(self, *request)
    except aiohttp.ClientConnectionError:
        return await SEND(self, *request)


SEND = Exchange.send


def timed(**changes: float) -> Callable[..., None]:
    """An executor with other durations."""
    build = Executor.__init__

    def init(self: Executor, *given: Any, **options: Any) -> None:
        build(self, *given, **options | {"timing": replace(Timing(), **changes)})

    return init


def ready_of_any(self: Sequencer, maximum: int) -> list[AccountEvent]:
    """The oldest events held, whatever is missing before them."""
    return [self._held[number] for number in sorted(self._ids)[:maximum]]


async def take_any(self: TransactionFeed, events: Sequence[Any]) -> None:
    """Whatever the stream brings, whatever is missing before it."""
    for event in events:
        await self._queue.put_many((event,))
        self._put.advance(getattr(event, "transaction_id", 0))


async def apply_once(self: Transactions) -> None:
    """What the store does not take at once is given up."""
    while events := self._events.ready(1):
        with suppress(TransientError):
            await self._store.apply_account_events(self._broker.account_id, events)
        self._events.advance(events[0])
        self._booked(events[0])
        await self.moved()


async def apply_twice(
    self: Content, account_id: str, events: Sequence[AccountEvent]
) -> tuple[int, ...]:
    """A store that does not look at what it has applied."""
    books = self._of(account_id)
    books.applied.difference_update(event.transaction_id for event in events)
    account = books.account
    if events[0].transaction_id <= account.last_transaction_id:
        books.account = replace(account, last_transaction_id=events[0].transaction_id - 1)
    return await APPLY(self, account_id, events)


APPLY = Content.apply_account_events


def take_all(self: Producer, quote: Quote) -> Verdict:
    """No repair after an interruption."""
    self._begin(quote) if self._last is None else self._note(quote)
    return Verdict.TAKE


def never_sent(order: Order, outcome: Any) -> Any:
    """Whatever is not known is taken for never having been."""
    if isinstance(outcome, Ambiguous):
        outcome = Unsent(outcome.reason)
    return OUTCOME(order, outcome)


OUTCOME = machine._outcome


async def no_throttle(*_: Any) -> None:
    """No waiting for a turn."""


async def supervise_once(name: str, run: Any, *_: Any, **__: Any) -> None:
    """What broke stays broken; only a start is tried again, by the service manager."""
    try:
        await run()
    except TransientError:
        if name == "start":
            raise
        await for_ever()


async def recover_blindly(broker: Broker, store: Store, *_: Any) -> Recovery:
    """The broker's account and the store's state, whatever lies between them."""
    snapshot = await broker.account()
    await store.record_baseline(broker.account_id, snapshot)
    state = await store.load_state(broker.account_id)
    for stored in state.orders:
        broker.expect(stored.intent)
    return Recovery(snapshot, state, reconcile._unfinished(state), ())


def forgiving(self: PriceLines, instruments: Any, counts: Any) -> None:
    """Price lines that cannot be read are left out."""
    LINES(self, instruments, counts, corrupt_limit=WIDE)


LINES = PriceLines.__init__


def no_hole(_: object, newest: Quote) -> Gap:
    """A gap of no length."""
    return Gap(newest.instrument, 0, 1)


def patient(seconds: float) -> Substitutions:
    """A client that waits for ever."""
    from sepd.broker.oanda.rest import Rest

    build = Rest.__init__

    def init(self: Any, settings: Any, rng: Any) -> None:
        build(self, settings.model_copy(update={"timeout_s": seconds}), rng)

    return {"sepd.broker.oanda.rest.Rest.__init__": init}


def no_latch(self: Any, account_id: str, reason: str) -> Any:
    """A kill switch that no restart remembers."""
    return nothing_async()


def lines_patient(silence_s: float) -> Substitutions:
    """Streams whose silence nobody minds."""
    from sepd.broker.oanda.stream import line_blocks

    def blocks(content: Any, _: float) -> AsyncIterator[bytes]:
        return line_blocks(content, silence_s)

    return {
        "sepd.broker.oanda.stream.line_blocks": blocks,
        "sepd.broker.oanda.client.line_blocks": blocks,
    }


def only_counted(self: Book, intent: OrderIntent) -> None:
    """An intent under way counts in the minute's orders, not as a position."""
    self.sent_ns.append(intent.created_ns)


def only_extra(_: Any, extra: Any = None) -> Any:
    """What is held does not count; only what is asked for does."""
    return iter([extra] if extra else [])


def chained_to_none(_: bytes, row: AuditRow) -> AuditRow:
    """Every row stands as if it were the first."""
    return chained(ORIGIN, row)


def all_but(kind: str) -> Callable[..., None]:
    """A store that writes no audit rows of one kind."""

    def chain(self: Content, time_ns: int, account_id: str, written: str, body: bytes) -> None:
        if written != kind:
            CHAIN(self, time_ns, account_id, written, body)

    return chain


CHAIN = Content._chain


async def kill_and_forge(self: Content, account_id: str, reason: str) -> None:
    """With a kill somebody rewrites the whole log, hashes included."""
    await KILL(self, account_id, reason)
    head = ORIGIN
    for place, row in enumerate(self.audit):
        self.audit[place] = chained(head, replace(row, time_ns=row.time_ns + 1))
        head = self.audit[place].hash


KILL = Content.record_kill
