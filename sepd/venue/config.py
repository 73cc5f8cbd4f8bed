"""What a venue is told at its start."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from sepd.errors import ConfigError


class FinancingRates(Struct, frozen=True, forbid_unknown_fields=True):
    """Annual rates of an instrument's long and short side, and the days charged per weekday.

    `days` counts Monday first; the usual foreign-exchange week charges three days on Wednesday.
    """

    long_rate: Decimal = Decimal(0)
    short_rate: Decimal = Decimal(0)
    days: tuple[int, ...] = (1, 1, 3, 1, 1, 0, 0)


class VenueConfig(Struct, frozen=True, forbid_unknown_fields=True):
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

    def __post_init__(self) -> None:
        """Refuse rules that no account could have."""
        if self.balance <= 0:
            raise ValueError(f"balance {self.balance} is not above 0")
        if not 0 <= self.conversion_markup < 1:
            raise ValueError(f"conversion_markup {self.conversion_markup} is not within 0 … 1")
        if self.liquidity < 1:
            raise ValueError(f"liquidity {self.liquidity} is not above 0")
        if not re.fullmatch(r"\d+-\d+-\d+-\d+", self.account_id):
            raise ValueError("account_id must look like 101-001-1000001-001")

    @property
    def user_id(self) -> int:
        """The third part of the account id."""
        return int(self.account_id.split("-")[2])


def load_rules(path: Path | None, **given: Any) -> VenueConfig:
    """The rules of a TOML file, or the defaults, with `given` over them where it is not None.

    Raises:
        ConfigError: the file cannot be read, or a rule is unknown or out of range.
    """
    values: dict[str, Any] = {}
    try:
        if path is not None:
            values = msgspec.toml.decode(path.read_bytes())
        values |= {name: value for name, value in given.items() if value is not None}
        return msgspec.convert(values, VenueConfig, strict=False)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(f"{path or 'venue options'}: {error}; see docs/venue.md.") from None
