"""When the account's transactions are applied."""

from __future__ import annotations

import asyncio

from sepd.domain.account import AccountEvent, OtherTransaction
from sepd.execution.transactions import Transactions
from tests.support.broker import FakeBroker
from tests.support.store import FaultyStore
from tests.support.trading import EUR_USD
from tests.support.virtual_time import run_virtually


class Account:
    """Transactions of a broker whose record is never needed, and when each was applied."""

    def __init__(self) -> None:
        self.broker = FakeBroker([EUR_USD], {})
        self.applied: dict[int, float] = {}
        self.transactions = Transactions(
            self.broker, FaultyStore(), self.booked, applied=0, grace_s=0.25, retry_s=1
        )

    def booked(self, event: AccountEvent) -> None:
        self.applied[event.transaction_id] = asyncio.get_running_loop().time()

    async def after(self, seconds: float, *numbers: int) -> None:
        """The stream brings these."""
        await asyncio.sleep(seconds)
        self.transactions.offer([OtherTransaction(number, 0, "X") for number in numbers])


def test_rows_that_close_a_hole_are_applied_as_they_come() -> None:
    async def work(account: Account) -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(account.transactions.run())
            await account.after(0, 1)
            account.transactions.note(4)
            await account.after(0.01, 3)
            await account.after(0.01, 2, 4)
            await asyncio.sleep(0.01)
            running.cancel()

    account = Account()
    run_virtually(work(account))
    assert account.applied == {1: 0.0, 2: 0.02, 3: 0.02, 4: 0.02}
    assert account.broker.scans == 0


def test_rows_behind_a_hole_do_not_put_off_asking_the_broker() -> None:
    async def work(account: Account) -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(account.transactions.run())
            for number in range(2, 8):
                await account.after(0.1, number)
            running.cancel()

    account = Account()
    account.broker.rows = [OtherTransaction(number, 0, "X") for number in range(1, 8)]
    run_virtually(work(account))
    assert account.broker.scans == 1
    assert set(account.applied) == set(range(1, 8))
    assert account.applied[1] == 0.1 + 0.25
