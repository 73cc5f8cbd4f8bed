"""What a simulated daemon is told, and how long a run lasts."""

from __future__ import annotations

import random
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct
from pydantic import SecretStr

from sepd.domain.market import Granularity
from sepd.market.tape import sample_path
from sepd.settings import (
    ApiSettings,
    BitspaceSettings,
    BrokerSettings,
    MarketSettings,
    RiskSettings,
    RuleSettings,
    Settings,
)
from sepd.simulation.market import ACCOUNT, PORT, TOKEN
from sepd.simulation.prices import BASE


class Options(Struct, frozen=True):
    """What a run depends on beside its seed.

    Attributes:
        tapes: recorded prices, one tape of each pair; a seed plays some of them.
        minutes: virtual length of the part with faults.
        keep: numbers of the faults to bring about; None: all of them.
    """

    tapes: tuple[Path, ...]
    minutes: float = 30.0
    keep: tuple[int, ...] | None = None

    def command(self, seed: int) -> str:
        """The command line that runs a seed again."""
        words = ["sepd", "simulate", "--seeds=1", f"--first={seed}", f"--minutes={self.minutes:g}"]
        if self.keep is not None:
            words.append(f"--keep={','.join(map(str, self.keep)) or '-'}")
        if self.tapes != (sample_path(),):
            words += [f"--tape={path}" for path in self.tapes]
        return shlex.join(words)


def settings_of(seed: int, instruments: tuple[str, ...]) -> Settings:
    """Settings under which the daemon trades often, some drawn from `seed`.

    The rule takes every lean of the shortest window, so that half a virtual hour holds some tens
    of orders; the limits that would end trading early are wide in most seeds.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    zero = Decimal(0)
    queue = rng.choice((16, 64, 1_024))
    hold = rng.choice((1, 2, 2, 4))
    return Settings(
        mode="practice",
        instruments=instruments,
        market=MarketSettings(base=BASE, granularities=(Granularity.S30,), queue_events=queue),
        bitspace=BitspaceSettings(window=4, iterations=1, backend="numpy"),
        rule=RuleSettings(
            granularities=(BASE,),
            polarity_min=zero,
            coherence_min=zero,
            stability_min=zero,
            hold_candles=hold,
        ),
        risk=_risk(rng, len(instruments)),
        broker=BrokerSettings(
            api_key=SecretStr(TOKEN),
            account_id=ACCOUNT,
            rest_url=f"http://127.0.0.1:{PORT}",
            # A request is an event like any other: with more of them a seed is another run.
            ready_connections=0,
        ),
        api=ApiSettings(port=0),
    )


def _risk(rng: random.Random, pairs: int) -> RiskSettings:
    """Limits that are wide, but for one or none that soon is reached.

    No run is long enough to measure a correlation: currencies tell, as they tell the watcher.
    """
    wide: dict[str, Any] = {
        "correlation_candles": 5_000,
        "risk_per_trade": Decimal("0.001"),
        "max_fills_per_hour": 1_000,
        "max_loss_streak": 100,
        "max_daily_loss": Decimal(1),
        "max_drawdown": Decimal(1),
    }
    across = 2 * ACROSS if pairs > 1 else ()
    tight = rng.choice((*TIGHT, *across, *({} for _ in TIGHT)))
    return RiskSettings(**(wide | tight))


TIGHT: tuple[dict[str, Any], ...] = (
    {"max_units": Decimal(20_000)},
    {"max_notional": Decimal(34_000)},
    {"max_gross_leverage": Decimal("0.34")},
    {"max_currency_leverage": Decimal("0.34"), "max_net_leverage": Decimal("0.34")},
    {"max_margin_use": Decimal("0.0068")},
    {"max_daily_loss": Decimal("0.003")},
    {"max_drawdown": Decimal("0.002")},
    {"max_loss_streak": 2, "cool_down_s": 240},
    {"max_orders_per_minute": 2},
    {"max_fills_per_hour": 8},
    {"max_jump_pips": Decimal(12), "jump_quarantine_s": 40},
)
"""Limits that some seeds have; each is reached in half an hour of the sample's prices."""

ACROSS: tuple[dict[str, Any], ...] = (
    {"max_gross_leverage": Decimal("0.5")},
    {"max_net_leverage": Decimal("0.5")},
    {"max_currency_leverage": Decimal("0.5")},
    {"max_margin_use": Decimal("0.0095")},
    {"max_positions": 1},
    {"max_correlated": 1},
)
"""Limits that one position keeps and several pass; some seeds with several pairs have them."""
