"""Whatever goes wrong, in whatever order: nothing lost, nothing doubled, everything settled.

A scenario is a list of steps, drawn by Hypothesis, played in virtual time: orders, faults of
broker and store, stops that fill, requests that arrive late, crashes. Then the world heals, and
broker, store and book must agree to the last digit. `SEPD_EXAMPLES` sets how many are drawn.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from sepd.domain.account import OrderAccepted
from sepd.domain.order import OrderIntent, Purpose
from sepd.domain.signal import Signal
from sepd.errors import TransientError
from sepd.execution.executor import Executor, Timing
from sepd.execution.intent import exit_intent
from sepd.execution.reconcile import Recovery, Remedy, audit, compare, quarantine, recover
from sepd.risk.book import Book
from tests.support.broker import FakeBroker, Fault
from tests.support.store import FaultyStore
from tests.support.trading import ACCOUNT, EUR_USD, NOON, PAIRS, make_entry, make_signal
from tests.support.virtual_time import LoopClock, run_virtually

EXAMPLES = int(os.environ.get("SEPD_EXAMPLES", "300"))
TIMING = Timing(quiet_window_s=15, grace_s=0.25, retry_s=1)
STEPS = st.one_of(
    st.tuples(st.just("enter"), st.sampled_from(list(Fault))),
    st.tuples(st.just("enter"), st.just(Fault.NONE)),
    st.tuples(st.just("leave"), st.sampled_from(list(Fault))),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.03, 0.05, 0.3, 2.0, 20.0])),
    st.tuples(st.just("stop"), st.none()),
    st.tuples(st.just("arrive"), st.none()),
    st.tuples(st.just("stream"), st.integers(0, 99)),
    st.tuples(st.just("blind"), st.integers(1, 4)),
    st.tuples(st.just("lag"), st.integers(1, 3)),
    st.tuples(st.just("faulty_store"), st.integers(1, 3)),
    st.tuples(st.just("faulty_commit"), st.none()),
    st.tuples(st.just("lost_answer"), st.none()),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("again"), st.none()),
)
Step = tuple[str, Any]


class World:
    """A broker and a store that last, and a process that does not."""

    def __init__(self) -> None:
        self.broker = FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)})
        self.broker.latency_s = 0.02
        self.store = FaultyStore()
        self.clock = LoopClock(NOON)
        self.number = 0
        self.last: tuple[OrderIntent, Signal] | None = None
        self.tasks: asyncio.Task[None] | None = None
        self.recovery: Recovery | None = None

    async def start(self) -> None:
        """Recovery is the normal start."""
        while True:
            try:
                self.recovery = await recover(self.broker, self.store)
                break
            except TransientError:
                await asyncio.sleep(1)
        snapshot = self.recovery.snapshot
        self.book = Book("USD", PAIRS)
        self.book.restore(snapshot, self.recovery.state, self.clock.now_ns())
        quarantine(self.book, self.recovery.differences)
        self.executor = Executor(
            self.broker,
            self.store,
            self.clock,
            self.book,
            last_transaction_id=snapshot.last_transaction_id,
            workers=3,
            timing=TIMING,
        )
        self.executor.adopt(self.recovery.orders)
        self.tasks = asyncio.get_running_loop().create_task(self.executor.run())

    async def crash(self) -> None:
        """Drop everything but broker and store."""
        assert self.tasks is not None
        self.tasks.cancel()
        await asyncio.gather(self.tasks, return_exceptions=True)

    async def step(self, name: str, detail: Any) -> None:
        """One step of a scenario: the method of its name."""
        await getattr(self, name)(detail)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def stop(self, _: None) -> None:
        for trade_id in list(self.broker.open_trades)[:1]:
            self.broker.hit_stop(trade_id, self.clock.now_ns())

    async def arrive(self, _: None) -> None:
        """What lands in its quiet window must have counted as exposure all the time."""
        now_s = asyncio.get_running_loop().time()
        for sent_s, intent in self.broker.late:
            age_s = now_s - sent_s
            if intent.purpose is Purpose.ENTRY and age_s < TIMING.quiet_window_s:
                assert intent.id in self.book.pending
                assert intent.id in self.book.blocked.get("EUR_USD", ()) or age_s < 0.1
        self.broker.arrive_late()

    async def stream(self, seed: int) -> None:
        """The transaction stream brings some rows, in no order."""
        rng = random.Random(seed)
        rows = [row for row in self.broker.rows if rng.random() < 0.7]
        rng.shuffle(rows)
        self.executor.offer(rows)

    async def blind(self, scans: int) -> None:
        self.broker.fail_scans = scans

    async def lag(self, scans: int) -> None:
        self.broker.hidden_scans = scans

    async def faulty_store(self, calls: int) -> None:
        self.store.apply_faults.extend([True] * calls)

    async def faulty_commit(self, _: None) -> None:
        self.store.commit_faults.append(True)

    async def lost_answer(self, _: None) -> None:
        self.store.lost_answers.append(True)

    async def restart(self, _: None) -> None:
        await self.crash()
        await self.start()

    async def enter(self, fault: Fault) -> None:
        self.number += 1
        self.broker.faults.append(fault)
        now_ns = self.clock.now_ns()
        signal = make_signal(self.number, created_ns=now_ns)
        checkpoint = self.executor.last_transaction_id
        self.last = make_entry(signal, now_ns=now_ns, checkpoint=checkpoint), signal
        await self.executor.submit(*self.last, b"{}")

    async def again(self, _: None) -> None:
        """The same decision is made once more, as after a restart that replays its inputs."""
        if self.last:
            await self.executor.submit(*self.last, b"{}")

    async def leave(self, fault: Fault) -> None:
        self.number += 1
        self.broker.faults.append(fault)
        trade = next(
            (t for t in self.book.trades.values() if not self.book.exits(t.trade_id)), None
        )
        if trade:
            signal = make_signal(self.number, created_ns=self.clock.now_ns())
            intent = exit_intent(
                ACCOUNT,
                signal.id,
                trade,
                now_ns=self.clock.now_ns(),
                checkpoint=self.executor.last_transaction_id,
            )
            await self.executor.submit(intent, signal, b"{}")

    async def heal(self) -> None:
        """Nothing goes wrong any more, and time passes."""
        self.broker.faults.clear()
        self.broker.fail_scans = self.broker.hidden_scans = 0
        self.store.apply_faults.clear()
        self.store.commit_faults.clear()
        self.store.lost_answers.clear()
        self.broker.arrive_late()
        await asyncio.sleep(600)
        await audit(self.broker, self.store, self.executor)
        await self.executor.drain(len(self.broker.rows))

    async def judge(self) -> None:
        broker, book = self.broker, self.book
        sent = Counter(intent.id for intent in broker.placed)
        assert set(sent.values()) <= {1}, "an intent was sent twice"
        made = Counter(
            row.client_order_id
            for row in broker.rows
            if isinstance(row, OrderAccepted) and row.client_order_id
        )
        assert set(made.values()) <= {1}, "an intent became two orders"
        assert {i.id for i in broker.placed if i.purpose is Purpose.ENTRY} <= set(sent)
        assert {n: t.units for n, t in book.trades.items()} == {
            n: t.units for n, t in broker.open_trades.items()
        }
        assert self.store.open_trades() == set(broker.open_trades)
        assert book.balance == broker.balance
        assert not book.pending
        assert not [causes for causes in book.blocked.values() if causes]
        assert all(trade.stop_loss is not None for trade in book.trades.values())
        assert not [order for order in self.executor.orders if not order.trades]
        state = await self.store.load_state(ACCOUNT)
        left = compare(await broker.account(), state)
        assert not [item for item in left if item.remedy is not Remedy.ADOPT]


async def play(steps: Sequence[Step]) -> World:
    world = World()
    await world.start()
    for name, detail in steps:
        await world.step(name, detail)
    await world.heal()
    await world.judge()
    await world.crash()
    return world


@given(st.lists(STEPS, max_size=30))
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@example(
    [("enter", Fault.LATE), ("wait", 20.0), ("wait", 20.0), ("restart", None), ("arrive", None)]
)
@example([("enter", Fault.LATE), ("wait", 2.0), ("arrive", None)])
@example([("enter", Fault.LATE), ("wait", 0.3), ("restart", None), ("wait", 2.0), ("arrive", None)])
@example([("enter", Fault.LATE), ("wait", 0.3), ("restart", None), ("arrive", None)])
@example([("enter", Fault.NONE), ("again", None), ("restart", None), ("again", None)])
@example([("enter", Fault.NONE), ("wait", 0.3), ("stop", 0), ("restart", None), ("again", None)])
@example([("enter", Fault.NONE), ("wait", 0.03), ("restart", None)])
@example([("enter", Fault.LOST_REPLY), ("restart", None), ("restart", None)])
@example([("lost_answer", None), ("enter", Fault.NONE)])
@example([("enter", Fault.NONE), ("wait", 0.3), ("lost_answer", None), ("leave", Fault.NONE)])
def test_nothing_is_lost_and_nothing_is_doubled(steps: list[Step]) -> None:
    world = run_virtually(play(steps))
    event(f"orders sent: {min(len(world.broker.placed), 10)}")


def test_the_same_scenario_gives_the_same_history() -> None:
    rng = random.Random(7)
    steps: list[Step] = []
    for _ in range(300):
        name = rng.choice(["enter", "leave", "wait", "wait", "stop", "restart", "stream"])
        fault = rng.choice(list(Fault))
        detail = {"wait": rng.choice([0.01, 0.3, 20.0]), "stream": rng.randrange(99)}
        steps.append((name, detail.get(name, fault)))
    one, other = run_virtually(play(steps)), run_virtually(play(steps))
    assert one.broker.rows == other.broker.rows
    assert len(one.broker.rows) > 50
