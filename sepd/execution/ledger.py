"""What execution keeps informed of orders and money."""

from __future__ import annotations

from typing import Protocol

from sepd.domain.account import AccountEvent
from sepd.domain.order import OrderIntent

EVERYTHING = ""
"""Stands for every instrument where one may be named."""
REPEATED = "repeated_execution"
"""Cause under which the ledger latches off a pair that was filled too often."""


class Ledger(Protocol):
    """The risk book, as execution sees it. `killed` is why no entry may leave, or empty."""

    killed: str

    def reserve(self, intent: OrderIntent) -> None:
        """The intent counts as held."""
        ...

    def release(self, intent_id: str) -> None:
        """It does not any more."""
        ...

    def block(self, instrument: str, cause: str) -> None:
        """No entries of the instrument (`EVERYTHING`: of any) until the cause is lifted."""
        ...

    def unblock(self, instrument: str, cause: str) -> None:
        """Lift the cause."""
        ...

    def apply(self, event: AccountEvent) -> bool:
        """Take an account event; False if it was taken before."""
        ...

    def exits(self, trade_id: int) -> bool:
        """Whether an exit of this trade is under way."""
        ...
