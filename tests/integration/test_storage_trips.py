"""What an order costs in round trips to the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

from sepd.domain.account import AccountEvent, OrderAccepted, OrderFilled, TradeOpen
from sepd.domain.order import OrderState
from sepd.storage.postgres import PostgresStore
from tests.support.storage import store_at
from tests.support.trading import ACCOUNT, NOON, make_entry, make_signal
from tests.support.unix_proxy import UnixProxy

ZERO = Decimal(0)


def filled_entry(first: int, name: str) -> Sequence[AccountEvent]:
    """The four rows of an entry: order, fill, take profit, stop."""
    return [
        OrderAccepted(first, NOON, "MARKET_ORDER", "CLIENT_ORDER", client_order_id=name),
        OrderFilled(
            first + 1, NOON, first, "EUR_USD", Decimal(1000), 110_000, "MARKET_ORDER", ZERO, ZERO,
            ZERO, Decimal(100), name, opened=TradeOpen(first + 1, Decimal(1000), 110_000),
        ),
        OrderAccepted(first + 2, NOON, "TAKE_PROFIT_ORDER", "ON_FILL"),
        OrderAccepted(first + 3, NOON, "STOP_LOSS_ORDER", "ON_FILL"),
    ]  # fmt: skip


async def counted(line: UnixProxy, work: Callable[[], Awaitable[object]]) -> int:
    """How many answers of the server came while `work` was done."""
    answers = 0

    async def count() -> None:
        nonlocal answers
        answers += 1

    line.meanwhile = count
    await work()
    line.meanwhile = None
    return answers


async def trips(line: UnixProxy, store: PostgresStore, number: int) -> dict[str, int]:
    signal = make_signal(number)
    intent = make_entry(signal)
    events = filled_entry(4 * number + 1, intent.id)
    state = OrderState.UNKNOWN
    return {
        "commit": await counted(line, lambda: store.commit_intent(intent, signal, b"{}")),
        "state": await counted(line, lambda: store.record_order_state(intent.id, state, None, "")),
        "apply": await counted(line, lambda: store.apply_account_events(ACCOUNT, events)),
        "kill": await counted(line, lambda: store.record_kill(ACCOUNT, "")),
    }


async def test_an_entry_costs_three_round_trips(postgres_line: tuple[UnixProxy, str]) -> None:
    line, url = postgres_line
    store = store_at(url)
    await store.open()
    await trips(line, store, 0)  # the first time, statements are prepared
    assert await trips(line, store, 1) == {"commit": 1, "state": 1, "apply": 2, "kill": 1}
    assert (await store.load_state(ACCOUNT)).last_transaction_id == 8
    await store.close()
