"""The broker's record as a trader reads it: money, results, and what was open when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sepd.risk.day import trading_day
from sepd.venue.ledger import Row


class Opened(Struct, frozen=True):
    """A trade, and the transaction that opened it for the order `name`."""

    transaction: int
    time_ns: int
    name: str
    instrument: str
    units: Decimal
    price: Decimal


class Record:
    """Transactions, read one by one; those before the first fund the account.

    Attributes:
        balances: money after each transaction, by its id.
        results: transaction id, time and money of every fill that closed something.
        fills: every trade that was opened, as it was then.
        unlatched: the newest transaction when an operator last released what was latched off.
    """

    def __init__(self, balance: Decimal) -> None:
        self.balances: list[Decimal] = [balance]
        self.days: list[str] = [""]
        self.unlatched = 0
        self.results: list[tuple[int, int, Decimal]] = []
        self.fills: list[Opened] = []
        self._changed: list[int] = [0]
        self._open: list[Mapping[int, Opened]] = [{}]

    def add(self, row: Row, time_ns: int) -> None:
        """Read the next row."""
        number = int(row["id"])
        balance = row.get("accountBalance")
        self.balances.append(Decimal(balance) if balance else self.balances[-1])
        self.days.append(trading_day(time_ns))
        if row["type"] != "ORDER_FILL":
            return
        if "tradesClosed" in row or "tradeReduced" in row:
            self.results.append((number, time_ns, Decimal(row["pl"])))
        self._changed.append(number)
        self._open.append(self._after(row, number, time_ns))

    def open_at(self, transaction: int) -> Mapping[int, Opened]:
        """Trades that were open after a transaction, by id."""
        return self._open[bisect_right(self._changed, transaction) - 1]

    def opened_after(self, transaction: int) -> Iterator[Opened]:
        """Trades that later transactions opened, newest first."""
        for trade in reversed(self.fills):
            if trade.transaction <= transaction:
                return
            yield trade

    def _after(self, row: Row, number: int, time_ns: int) -> Mapping[int, Opened]:
        """What is open after a fill."""
        trades = dict(self._open[-1])
        for part in row.get("tradesClosed", ()):
            del trades[int(part["tradeID"])]
        if "tradeReduced" in row:
            part = row["tradeReduced"]
            left = trades[int(part["tradeID"])]
            trades[int(part["tradeID"])] = replace(left, units=left.units + Decimal(part["units"]))
        if "tradeOpened" in row:
            part = row["tradeOpened"]
            opened = Opened(
                transaction=number,
                time_ns=time_ns,
                name=row.get("clientOrderID", ""),
                instrument=row["instrument"],
                units=Decimal(part["units"]),
                price=Decimal(part["price"]),
            )
            self.fills.append(opened)
            trades[int(part["tradeID"])] = opened
        return trades
