"""What a venue is told at its start."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct


class FinancingRates(Struct, frozen=True):
    """Annual rates of an instrument's long and short side, and the days charged per weekday.

    `days` counts Monday first; the usual foreign-exchange week charges three days on Wednesday.
    """

    long_rate: Decimal = Decimal(0)
    short_rate: Decimal = Decimal(0)
    days: tuple[int, ...] = (1, 1, 3, 1, 1, 0, 0)


class VenueConfig(Struct, frozen=True):
    """The account and the rules of the venue; money is in `home_currency`.

    `conversion_markup` is what the broker keeps of each conversion into the home currency (OANDA
    practice 2026: 1 %). `liquidity` is the stated depth behind a recorded price: an order beyond it
    does not fill. `home_rates` price one unit of a currency in the home currency where no loaded
    tape does.
    """

    account_id: str = "101-001-1000001-001"
    token: str = "practice"  # noqa: S105 - a name on the loopback interface, not a secret
    home_currency: str = "USD"
    balance: Decimal = Decimal(100_000)
    alias: str = "Practice venue"
    hedging: bool = False
    margin_rate: Decimal | None = None
    conversion_markup: Decimal = Decimal("0.01")
    home_rates: dict[str, Decimal] = {}
    financing: dict[str, FinancingRates] = {}
    liquidity: int = 100_000_000
    money_digits: int = 4
    max_pending_orders: int = 1_000
    reject_pending_duplicates: bool = True

    @property
    def user_id(self) -> int:
        """The third part of the account id."""
        return int(self.account_id.split("-")[2])
