"""Settings: TOML, environment and env files become one frozen, validated value.

Order of precedence, highest first: `SEPD_*` and the published variables (`DATABASE_URL`,
`VALKEY_URL`, `OANDA_API_KEY`, `OANDA_ACCOUNT_ID`) of the environment, credential files
(`OANDA.env`, `.sep-config.env` in `$CREDENTIALS_DIRECTORY`, `config/`, `/app/config/`,
`/etc/sepd/`), the TOML file, the defaults here. A component receives its own section, never the
whole.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from sepd.domain.market import Granularity
from sepd.errors import ConfigError

Role = Literal["all", "signals", "execute"]
Mode = Literal["paper", "practice", "live"]
CREDENTIAL_FILES = ("OANDA.env", ".sep-config.env")
PUBLISHED = {
    "DATABASE_URL": ("database", "url"),
    "VALKEY_URL": ("cache", "url"),
    "OANDA_API_KEY": ("broker", "api_key"),
    "OANDA_ACCOUNT_ID": ("broker", "account_id"),
}


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MarketSettings(Section):
    """Which candles are built. `base` is the finest; the others are built from it."""

    base: Granularity = Granularity.M1
    granularities: tuple[Granularity, ...] = (Granularity.M5, Granularity.M15, Granularity.H1)
    max_gap_candles: int = Field(default=3, ge=1, description="a longer hole ends the bit segment")
    queue_events: int = Field(default=65_536, ge=16)
    batch_events: int = Field(default=4_096, ge=1)

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


class RiskSettings(Section):
    """Limits. Fractions are of the account balance; money is in the home currency."""

    risk_per_trade: Decimal = Field(default=Decimal("0.005"), gt=0, le=Decimal("0.05"))
    stop_pips: Decimal = Field(default=Decimal(30), gt=0)
    target_pips: Decimal = Field(default=Decimal(45), gt=0)
    price_bound_pips: Decimal = Field(default=Decimal(5), gt=0)
    max_units: Decimal = Field(default=Decimal(1_000_000), gt=0)
    max_positions: int = Field(default=4, ge=1)
    max_positions_per_instrument: int = Field(default=1, ge=1)
    max_daily_loss: Decimal = Field(default=Decimal("0.03"), gt=0, le=1)
    max_spread_pips: Decimal = Field(default=Decimal(4), gt=0)
    max_quote_age_s: Decimal = Field(default=Decimal(10), gt=0)


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
    silence_s: float = Field(default=10.0, gt=0)


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


class LogSettings(Section):
    """Logging. `auto` is console on a terminal and JSON elsewhere."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class LiveSettings(Section):
    """The second of the two confirmations that live trading needs: the account id, typed out."""

    confirm: str = ""


class Settings(Section):
    """Everything a person may set."""

    role: Role = "all"
    mode: Mode = "paper"
    instruments: tuple[str, ...] = ("EUR_USD",)
    data_dir: Path = Path(".sepd")
    market: MarketSettings = MarketSettings()
    bitspace: BitspaceSettings = BitspaceSettings()
    rule: RuleSettings = RuleSettings()
    risk: RiskSettings = RiskSettings()
    broker: BrokerSettings = BrokerSettings()
    database: DatabaseSettings = DatabaseSettings()
    cache: CacheSettings = CacheSettings()
    api: ApiSettings = ApiSettings()
    log: LogSettings = LogSettings()
    live: LiveSettings = LiveSettings()

    @model_validator(mode="after")
    def _rule_candles_exist(self) -> Self:
        missing = set(self.rule.granularities) - set(self.market.all_granularities)
        if missing:
            raise ValueError(f"rule.granularities {sorted(missing)} are not built (see [market])")
        return self

    @property
    def version(self) -> str:
        """Twelve hex digits that name these settings; secrets do not enter."""
        public = self.model_dump_json(
            exclude={
                "data_dir": True,
                "api": True,
                "log": True,
                "broker": {"api_key", "rest_url", "stream_url"},
                "database": True,
                "cache": {"url"},
            }
        )
        return hashlib.sha256(public.encode()).hexdigest()[:12]


def credential_dirs(environ: Mapping[str, str]) -> list[Path]:
    """Folders searched for credential files, first match wins."""
    named = [Path(environ["CREDENTIALS_DIRECTORY"])] if environ.get("CREDENTIALS_DIRECTORY") else []
    return [*named, Path("config"), Path("/app/config"), Path("/etc/sepd")]


def load_settings(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read and validate.

    Args:
        path: TOML file; None takes `config/sepd.toml` if it exists.
        environ: the environment; None takes the process's own.
        overrides: nested values that win over all else (command-line options).

    Raises:
        ConfigError: names the key, its file and, for a typo, the nearest right name.
    """
    environ = os.environ if environ is None else environ
    file = path or Path("config/sepd.toml")
    values = _read_toml(file) if path or file.is_file() else {}
    origin = str(file)
    for source in (_credential_values(environ), _environment_values(environ), overrides or {}):
        _merge(values, source)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error, origin)) from None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not valid TOML: {error}.") from None


def _credential_values(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, str] = {}
    for folder in reversed(credential_dirs(environ)):
        for name in CREDENTIAL_FILES:
            file = folder / name
            if file.is_file():
                found |= {key: value for key, value in dotenv_values(file).items() if value}
    return _published(found)


def _environment_values(environ: Mapping[str, str]) -> dict[str, Any]:
    """The published names, and `SEPD_SECTION__KEY`."""
    values = _published(environ)
    for key, text in environ.items():
        if key.startswith("SEPD_") and key != "SEPD_DATA":
            _place(values, [part.lower() for part in key[5:].split("__")], _literal(text))
    return values


def _published(source: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, where in PUBLISHED.items():
        if source.get(key):
            _place(values, list(where), source[key])
    return values


def _literal(text: str) -> Any:
    """`a,b` becomes a list; pydantic turns the rest into its type."""
    return [part.strip() for part in text.split(",")] if "," in text else text


def _place(values: dict[str, Any], where: Sequence[str], value: Any) -> None:
    for part in where[:-1]:
        values = values.setdefault(part, {})
    values[where[-1]] = value


def _merge(values: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = dict(value) if isinstance(value, Mapping) else value


def _explain(error: ValidationError, origin: str) -> str:
    """One sentence per mistake: file, key, what is wrong, what would be right."""
    sentences = []
    for item in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in item["loc"]) or "settings"
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(item["loc"][-1]), _names(item["loc"][:-1]), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            sentences.append(f"{origin}: unknown key {key!r}.{hint}")
        else:
            sentences.append(f"{origin}: {key}: {item['msg']}.")
    return "\n".join(sentences)


def _names(where: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in where:
        annotation = model.model_fields[str(part)].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return list(model.model_fields)
