"""Settings: one frozen, validated value; `sepd.settings_sources` says where it comes from.

A component receives its own section, never the whole.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    SettingsConfigDict,
)

from sepd.domain.market import Granularity

Role = Literal["all", "signals", "execute"]
Mode = Literal["paper", "practice", "live"]


def _split(value: object) -> object:
    """`a,b` is a list, as environment variables write one."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MarketSettings(Section):
    """Which candles are built. `base` is the finest; the others are built from it."""

    base: Granularity = Granularity.M1
    granularities: tuple[Granularity, ...] = (Granularity.M5, Granularity.M15, Granularity.H1)
    max_gap_candles: int = Field(default=3, ge=1, description="a longer hole ends the bit segment")
    queue_events: int = Field(default=65_536, ge=16)
    batch_events: int = Field(default=256, ge=1)

    _lists = field_validator("granularities", mode="before")(_split)

    @model_validator(mode="after")
    def _multiples(self) -> Self:
        for granularity in self.granularities:
            if granularity.ns <= self.base.ns or granularity.ns % self.base.ns:
                raise ValueError(f"{granularity} is not a multiple of the base {self.base}")
        return self

    @property
    def all_granularities(self) -> tuple[Granularity, ...]:
        """Base and coarser granularities, finest first, each once."""
        return tuple(sorted({self.base, *self.granularities}, key=lambda g: g.ns))


class BitspaceSettings(Section):
    """Parameters of the engine (BITSPACE.md)."""

    window: int = Field(default=64, ge=3, le=64)
    order: int = Field(default=1, ge=1, le=8)
    iterations: int = Field(default=16, ge=1, le=64)
    backend: Literal["auto", "numpy", "cuda"] = "auto"


class RuleSettings(Section):
    """The demonstration rule: sign of the damped polarity, gated by the other metrics.

    Ratios are decimals in −1 … 1; `granularities` must all agree on the sign.
    """

    granularities: tuple[Granularity, ...] = (Granularity.M5, Granularity.M15)
    polarity_min: Decimal = Field(default=Decimal("0.10"), ge=0, le=1)
    coherence_min: Decimal = Field(default=Decimal("0.80"), ge=0, le=1)
    stability_min: Decimal = Field(default=Decimal("0.45"), ge=0, le=1)
    entropy_max: Decimal = Field(default=Decimal("1.00"), ge=0, le=1)
    validity_candles: int = Field(default=1, ge=1)
    hold_candles: int = Field(default=24, ge=1, description="a position is closed after so many")

    _lists = field_validator("granularities", mode="before")(_split)


class RiskSettings(Section):
    """Limits of the risk gate. Fractions are of the account balance, leverages multiples of the
    equity; money is in the home currency. A limit is the last value that passes.
    """

    allowed: tuple[str, ...] = Field(default=(), description="pairs to enter; empty: every one")
    risk_per_trade: Decimal = Field(
        default=Decimal("0.005"), gt=0, le=Decimal("0.05"), description="lost at most at the stop"
    )
    kelly_fraction: Decimal = Field(
        default=Decimal(0), ge=0, le=Decimal("0.5"), description="0: confidence sets no size"
    )
    stop_pips: Decimal = Field(default=Decimal(30), gt=0, description="from the price to enter at")
    target_pips: Decimal = Field(default=Decimal(45), gt=0)
    volatility_stops: Decimal = Field(
        default=Decimal(0), ge=0, description="a stop is no nearer than so many true ranges"
    )
    price_bound_pips: Decimal = Field(
        default=Decimal(5), gt=0, description="worst fill, from the price to enter at"
    )
    max_units: Decimal = Field(default=Decimal(1_000_000), gt=0, description="of one order")
    max_notional: Decimal = Field(default=Decimal(1_000_000), gt=0, description="of one order")
    max_gross_leverage: Decimal = Field(default=Decimal(10), gt=0, description="all positions")
    max_net_leverage: Decimal = Field(default=Decimal(6), gt=0, description="after netting")
    max_currency_leverage: Decimal = Field(default=Decimal(5), gt=0, description="one currency")
    max_margin_use: Decimal = Field(default=Decimal("0.5"), gt=0, le=1, description="of equity")
    max_positions: int = Field(default=4, ge=1)
    max_positions_per_instrument: int = Field(default=1, ge=1)
    max_correlated: int = Field(default=3, ge=1, description="positions that move together")
    correlation_min: Decimal = Field(
        default=Decimal("0.8"), ge=0, le=1, description="from here on two pairs move together"
    )
    correlation_candles: int = Field(
        default=288,
        ge=20,
        le=5_000,
        description="so many of the rule's finest measure it; with returns in common for fewer "
        "than half of them the currencies tell",
    )
    max_daily_loss: Decimal = Field(default=Decimal("0.03"), gt=0, le=1)
    max_drawdown: Decimal = Field(
        default=Decimal("0.2"), gt=0, le=1, description="below the highest balance"
    )
    max_loss_streak: int = Field(default=6, ge=1, description="so many losses start a cool-down")
    cool_down_s: int = Field(default=14_400, ge=0)
    max_orders_per_minute: int = Field(default=60, ge=1, le=1_000)
    max_fills_per_hour: int = Field(
        default=20,
        ge=1,
        le=1_000,
        description="of one pair; more latches it off until an operator unkills",
    )
    max_spread_pips: Decimal = Field(default=Decimal(4), gt=0)
    max_quote_age_s: Decimal = Field(default=Decimal(10), gt=0)
    max_conversion_age_s: Decimal = Field(
        default=Decimal(3600), gt=0, description="of the quotes that convert to home currency"
    )
    conversion_markup: Decimal = Field(
        default=Decimal("0.01"), ge=0, le=Decimal("0.1"), description="the broker's, at most"
    )
    max_jump_pips: Decimal = Field(
        default=Decimal(50), gt=0, description="between quotes no further apart than a fresh one"
    )
    jump_quarantine_s: int = Field(default=60, ge=0)
    max_clock_skew_s: Decimal = Field(default=Decimal(2), gt=0)
    no_entry_before_close_s: int = Field(default=900, ge=0, description="of the market")
    weekend_gap: Decimal = Field(
        default=Decimal(2), ge=1, description="a stop held over the weekend may slip so many times"
    )


class BrokerSettings(Section):
    """Where the OANDA v20 server is. `rest_url`/`stream_url` override the environment's hosts."""

    environment: Literal["practice", "live"] = "practice"
    api_key: SecretStr = SecretStr("")
    account_id: str = ""
    rest_url: str = ""
    stream_url: str = ""
    timeout_s: float = Field(default=10.0, gt=0)
    requests_per_s: float = Field(default=90.0, gt=0, le=100)
    connections_per_s: float = Field(default=1.8, gt=0, le=2)
    ready_connections: int = Field(
        default=2, ge=0, le=16, description="kept open for orders; 0 for as they come"
    )
    silence_s: float = Field(
        default=8.0, gt=0, le=10, description="a stream that brings nothing for so long is dead"
    )


class PaperSettings(Section):
    """The account of mode `paper`; it lives as long as the process."""

    balance: Decimal = Field(default=Decimal(100_000), gt=0)
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")


class DatabaseSettings(Section):
    """PostgreSQL. An empty url starts the embedded server under `data_dir`."""

    url: SecretStr = SecretStr("")
    pool: int = Field(default=4, ge=2, le=64)
    timeout_s: float = Field(default=5.0, gt=0)
    queue_rows: int = Field(default=262_144, ge=1_024)


class CacheSettings(Section):
    """Valkey. An empty url starts the embedded server under `data_dir`."""

    url: SecretStr = SecretStr("")
    timeout_s: float = Field(default=1.0, gt=0)
    series_length: int = Field(default=2_000, ge=1)


class ApiSettings(Section):
    """The HTTP server; port 0 takes any free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)


class ProcessSettings(Section):
    """How the process uses its machine."""

    awake_on: int = Field(
        default=-1, ge=-1, description="the core to spend, to react in less time; -1 for none"
    )


class LogSettings(Section):
    """Logging. `auto` is console on a terminal and JSON elsewhere."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class LiveSettings(Section):
    """The second of the two confirmations that live trading needs: the account id, typed out."""

    confirm: str = ""


class Settings(BaseSettings):
    """Everything a person may set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="SEPD_",
        env_nested_delimiter="__",
        enable_decoding=False,
    )

    role: Role = "all"
    mode: Mode = "paper"
    instruments: tuple[str, ...] = ("EUR_USD",)
    data_dir: Path = Path(".sepd")
    market: MarketSettings = MarketSettings()
    bitspace: BitspaceSettings = BitspaceSettings()
    rule: RuleSettings = RuleSettings()
    risk: RiskSettings = RiskSettings()
    broker: BrokerSettings = BrokerSettings()
    paper: PaperSettings = PaperSettings()
    database: DatabaseSettings = DatabaseSettings()
    cache: CacheSettings = CacheSettings()
    api: ApiSettings = ApiSettings()
    process: ProcessSettings = ProcessSettings()
    log: LogSettings = LogSettings()
    live: LiveSettings = LiveSettings()

    _lists = field_validator("instruments", mode="before")(_split)

    @model_validator(mode="after")
    def _rule_candles_exist(self) -> Self:
        missing = set(self.rule.granularities) - set(self.market.all_granularities)
        if missing:
            names = ", ".join(sorted(missing))
            raise ValueError(
                f"rule.granularities: {names} not built; add it to market.granularities"
            )
        return self

    @property
    def version(self) -> str:
        """Twelve hex digits that name these settings; secrets do not enter."""
        public = self.model_dump_json(
            exclude={
                "data_dir": True,
                "api": True,
                "process": True,
                "log": True,
                "market": {"queue_events", "batch_events"},
                "broker": {"api_key", "rest_url", "stream_url", "ready_connections"},
                "database": True,
                "cache": {"url"},
            }
        )
        return hashlib.sha256(public.encode()).hexdigest()[:12]
