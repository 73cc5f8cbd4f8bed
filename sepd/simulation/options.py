"""What a simulated daemon is told, and how long a run lasts."""

from __future__ import annotations

import random
from decimal import Decimal

from pydantic import SecretStr

from sepd.domain.market import Granularity
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

API_PORT = 8_080


def settings_of(seed: int, instrument: str) -> Settings:
    """Settings under which the daemon trades often, some drawn from `seed`.

    The rule takes every lean of the shortest window, so that half a virtual hour holds some tens
    of orders; the limits that would end trading early are wide in most seeds.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    zero = Decimal(0)
    return Settings(
        mode="practice",
        instruments=(instrument,),
        market=MarketSettings(
            base=BASE, granularities=(Granularity.S30,), queue_events=rng.choice((16, 64, 1_024))
        ),
        bitspace=BitspaceSettings(window=4, iterations=1, backend="numpy"),
        rule=RuleSettings(
            granularities=(BASE,),
            polarity_min=zero,
            coherence_min=zero,
            stability_min=zero,
            hold_candles=rng.choice((1, 2, 2, 4)),
        ),
        risk=RiskSettings(
            risk_per_trade=Decimal("0.001"),
            max_fills_per_hour=1_000,
            max_loss_streak=100,
            max_daily_loss=Decimal(1),
            max_drawdown=Decimal(1),
        ),
        broker=BrokerSettings(
            api_key=SecretStr(TOKEN),
            account_id=ACCOUNT,
            rest_url=f"http://127.0.0.1:{PORT}",
        ),
        api=ApiSettings(port=API_PORT),
    )
