"""The end of a node is bounded, and says what it leaves undone."""

from __future__ import annotations

import asyncio
import random

import pytest

from sepd.domain.account import TransactionHeartbeat
from sepd.errors import TransientError
from sepd.node import Node
from sepd.outside import Outside
from sepd.settings import ApiSettings, BitspaceSettings, Settings
from sepd.simulation.cache import ForgetfulCache
from tests.support.broker import FakeBroker
from tests.support.store import FaultyStore
from tests.support.trading import EUR_USD, NOON
from tests.support.virtual_time import LoopClock, run_virtually

SETTINGS = Settings(
    api=ApiSettings(port=0), bitspace=BitspaceSettings(backend="numpy"), instruments=("EUR_USD",)
)


class AwayStore(FaultyStore):
    """Does not take what is queued for so many attempts."""

    def __init__(self, away: int) -> None:
        super().__init__()
        self.away = away
        self.runs = asyncio.Event()

    async def run(self) -> None:
        self.runs.set()
        await asyncio.Event().wait()

    async def flush(self) -> None:
        if self.away:
            self.away -= 1
            raise TransientError("The database does not answer.")


async def end(store: AwayStore, broker: FakeBroker, *, paced: bool = False) -> tuple[float, str]:
    """Seconds that the end took, and what was said of it."""
    loop, stop, clock = asyncio.get_running_loop(), asyncio.Event(), LoopClock(NOON)
    outside = Outside(
        broker=broker,
        store=store,
        cache=ForgetfulCache(),
        clock=clock,
        timer=clock,
        rng=random.Random(1),
        paced=paced,
    )
    node = Node(SETTINGS, outside)
    said = ""

    async def live() -> None:
        nonlocal said
        try:
            await node.run(stop)
        except ExceptionGroup as group:
            (error,) = group.exceptions
            assert isinstance(error, TransientError)
            said = str(error)

    async with asyncio.TaskGroup() as group:
        group.create_task(live())
        await store.runs.wait()
        await asyncio.sleep(1)
        stop.set()
        began_s = loop.time()
    return loop.time() - began_s, said


@pytest.mark.parametrize("paced", [False, True])
def test_connections_are_kept_unless_a_tape_is_played(paced: bool) -> None:
    async def run() -> bool:
        kept = broker()
        await end(AwayStore(0), kept, paced=paced)
        return kept.staying

    assert run_virtually(run()) is not paced


def broker() -> FakeBroker:
    return FakeBroker([EUR_USD], {"EUR_USD": (109_990, 110_000)})


@pytest.mark.parametrize("away", [0, 3])
def test_a_store_that_comes_back_gets_everything(away: int) -> None:
    async def run() -> tuple[float, str]:
        return await end(AwayStore(away), broker())

    took_s, said = run_virtually(run())
    assert said == ""
    assert took_s < 4


def test_a_store_that_stays_away_is_not_waited_for_and_not_hidden() -> None:
    async def run() -> tuple[float, str]:
        return await end(AwayStore(1_000_000), broker())

    took_s, said = run_virtually(run())
    assert said.startswith("Stopped before all was done: Rows are not written")
    assert took_s <= 20


def test_transactions_that_the_broker_does_not_show_are_named() -> None:
    async def run() -> tuple[float, str]:
        silent = broker()
        silent.transaction_batches = [[TransactionHeartbeat(NOON, 1)]]
        return await end(AwayStore(0), silent)

    took_s, said = run_virtually(run())
    assert "after transaction 0, are left to the next start" in said
    assert took_s <= 20
