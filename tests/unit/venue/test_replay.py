"""The transactions alone tell the whole account: replayed, they give what the venue holds."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sepd.domain.time import NS_PER_S, format_time
from sepd.venue import changes, views
from sepd.venue.config import FinancingRates, VenueConfig
from sepd.venue.errors import Refusal
from sepd.venue.requests import parse_details, parse_order
from tests.support.desk import Desk, make_desk

DAY_NS = 86_400 * NS_PER_S
levels = st.integers(-300, 300)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), levels, st.integers(0, 40)),
        st.tuples(st.just("market"), st.integers(-40_000, 40_000), levels),
        st.tuples(st.sampled_from(["LIMIT", "STOP", "MARKET_IF_TOUCHED"]), levels, levels),
        st.tuples(st.just("cancel"), st.integers(1, 60), levels),
        st.tuples(st.just("replace"), st.integers(1, 60), levels),
        st.tuples(st.just("close"), st.integers(1, 60), st.integers(0, 3)),
        st.tuples(st.just("position"), st.booleans(), st.booleans()),
        st.tuples(st.just("guard"), st.integers(1, 60), levels),
        st.tuples(st.just("time"), st.integers(1, 30), levels),
    ),
    max_size=40,
)


def act(desk: Desk, step: tuple[Any, ...]) -> None:
    """Do one thing to the account."""
    kind, first, second = step
    engine = desk.engine
    price = f"{(110_000 + second) / 1e5:.5f}"
    if kind == "quote":
        desk.quote(110_000 + first, 110_000 + first + second)
    elif kind == "market":
        stop = {"price": price} if second % 3 == 0 else {"distance": "0.002"}
        guards: dict[str, Any] = {
            "stopLossOnFill": stop,
            "trailingStopLossOnFill": {"distance": "0.003"},
        }
        desk.order(str(first), **(guards if second % 2 else {}))
    elif kind in ("LIMIT", "STOP", "MARKET_IF_TOUCHED"):
        end = format_time(desk.time_ns + abs(second) * NS_PER_S + 1)
        life = {"timeInForce": "GTD", "gtdTime": end} if second % 4 == 0 else {}
        desk.order(str(first * 100), kind, price=price, **life)
    elif kind == "cancel":
        engine.cancel(str(first))
    elif kind == "replace":
        body = {"type": "LIMIT", "instrument": "EUR_USD", "units": "777", "price": price}
        engine.replace(str(first), parse_order({"order": body}))
    elif kind == "close":
        engine.close_trade(str(first), "ALL" if second == 0 else str(second * 50))
    elif kind == "position":
        sides = {"long": first, "short": second}
        engine.close_position(
            "EUR_USD", {side: ("ALL" if on else "NONE", None) for side, on in sides.items()}
        )
    elif kind == "time":
        desk.time_ns += first * DAY_NS // 10
        engine.on_time(desk.time_ns)
    else:
        guard(desk, first, price)


def guard(desk: Desk, number: int, price: str) -> None:
    """Set a stop and a target at the same price; one of them is wrong or fills at once."""
    trade = desk.account.book.open_trades.get(number)
    if trade is not None:
        wanted = {
            "TAKE_PROFIT": parse_details({"price": price}, "TAKE_PROFIT", "takeProfit"),
            "STOP_LOSS": None if number % 2 else parse_details({"price": price}, "STOP_LOSS", "s"),
        }
        desk.engine.set_dependents(trade, wanted)


class Replayed:
    """What the rows say is held."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.trades: dict[str, Decimal] = {}
        self.pending: set[str] = set()
        self.balance = Decimal(0)
        for row in rows:
            self.balance = Decimal(row.get("accountBalance", self.balance))
            getattr(self, f"_on_{row['type'].lower()}", self._on_order)(row)

    def _on_order(self, row: dict[str, Any]) -> None:
        if row["type"].endswith("_ORDER"):
            self.pending.add(row["id"])

    def _on_order_cancel(self, row: dict[str, Any]) -> None:
        self.pending.remove(row["orderID"])

    def _on_order_fill(self, row: dict[str, Any]) -> None:
        self.pending.remove(row["orderID"])
        for part in [*row.get("tradesClosed", ()), row.get("tradeReduced")]:
            if part is not None:
                self.trades[part["tradeID"]] += Decimal(part["units"])
        for part in row.get("tradesClosed", ()):
            assert self.trades.pop(part["tradeID"]) == 0
        if "tradeOpened" in row:
            self.trades[row["tradeOpened"]["tradeID"]] = Decimal(row["tradeOpened"]["units"])


@settings(max_examples=150)
@given(steps, st.booleans(), st.sampled_from([1_000, 2_000, 100_000]))
def test_rows_replayed_give_the_account(
    todo: list[tuple[Any, ...]], hedging: bool, balance: int
) -> None:
    rates = FinancingRates(Decimal("-0.03"), Decimal("0.01"))
    config = VenueConfig(hedging=hedging, balance=Decimal(balance), financing={"EUR_USD": rates})
    desk = make_desk(config)
    for step in todo:
        with suppress(Refusal):
            act(desk, step)
        account = desk.account
        told = Replayed(account.ledger.rows)
        book = account.book
        assert told.trades == {str(t.id): t.units for t in book.open_trades.values()}
        assert told.pending == {str(number) for number in book.pending}
        assert told.balance == book.balance
    rows = desk.account.ledger.rows
    moved = sum((Decimal(row.get("pl", 0)) for row in rows), Decimal(0))
    charged = [row for row in rows if row["type"] == "DAILY_FINANCING"]
    moved += sum((Decimal(row["financing"]) for row in charged), Decimal(0))
    assert desk.account.book.balance == balance + moved
    views.account_view(desk.account)
    assert changes.changes_view(desk.account, 1)["changes"]["transactions"] == rows[1:]
