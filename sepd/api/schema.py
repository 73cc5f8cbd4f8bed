"""What `/status` says: one value, filled by the daemon, read by people, scripts and `/metrics`."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

State = Literal["starting", "running", "degraded", "paused", "killed", "stopping"]


class QueueStatus(Struct, frozen=True):
    """Events waiting for the consumer, and how long the oldest has waited."""

    depth: int
    lag_ms: float
    conflated: int


class Percentiles(Struct, frozen=True):
    """Microseconds from dequeuing an event to the end of its decision."""

    p50: int
    p99: int


class ServiceStatus(Struct, frozen=True):
    """A service that sepd depends on."""

    ok: bool
    detail: str = ""


class BrokerStatus(Struct, frozen=True):
    """The account's newest transaction that has been applied, and the last reconciliation."""

    ok: bool
    last_transaction_id: int
    reconciled_at: str | None
    detail: str = ""


class InstrumentStatus(Struct, frozen=True):
    """One instrument; its age is the time since its newest price arrived.

    `corrected` counts candles that differed from the broker's own, which stand instead.
    """

    last_event_age_ms: int | None
    stale: bool
    spread_points: int | None
    candles: dict[str, int]
    corrected: int = 0


class SignalCounts(Struct, frozen=True):
    """Signals since the start."""

    total: int
    last: str | None


class OrderCounts(Struct, frozen=True):
    """Order requests since the start: each one is filled, refused, or open."""

    total: int
    filled: int
    refused: dict[str, int]
    open: int


class PositionStatus(Struct, frozen=True):
    """One open trade; prices are decimal texts."""

    trade_id: int
    instrument: str
    units: str
    price: str
    opened_at: str


class ProfitStatus(Struct, frozen=True):
    """Money in the account's home currency."""

    realised: Decimal
    balance: Decimal | None
    currency: str


class RiskStatus(Struct, frozen=True):
    """What the risk gate stands at; an empty `kill` means trading is allowed."""

    kill: str
    daily_loss: Decimal
    daily_loss_limit: Decimal
    blocked: dict[str, str]


class Status(Struct, frozen=True):
    """The whole truth at one instant."""

    state: State
    role: str
    mode: str
    version: str
    uptime_s: float
    config_version: str
    queue: QueueStatus
    latency_us: Percentiles
    backend: str
    store: ServiceStatus
    cache: ServiceStatus
    broker: BrokerStatus
    instruments: dict[str, InstrumentStatus]
    signals: SignalCounts
    orders: OrderCounts
    positions: list[PositionStatus]
    pl: ProfitStatus
    risk: RiskStatus
    events: int
    quotes: int
    memory_mb: float
    last_error: str | None

    @property
    def healthy(self) -> bool:
        """Whether `/status` answers 200."""
        return self.state in {"running", "paused"}
