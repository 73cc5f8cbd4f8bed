"""Fills `Status` from the parts of the running daemon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import psutil

from sepd import __version__
from sepd.api.schema import (
    BrokerStatus,
    InstrumentStatus,
    OrderCounts,
    Percentiles,
    PositionStatus,
    ProfitStatus,
    QueueStatus,
    RiskStatus,
    ServiceStatus,
    SignalCounts,
    State,
    Status,
)
from sepd.bitspace.analyser import Analyser
from sepd.domain.time import format_time
from sepd.execution.executor import Executor
from sepd.execution.outcomes import FILLED, Outcomes
from sepd.feed import EventQueue, Staleness
from sepd.market.crosscheck import Agreement
from sepd.pipeline import Pipeline
from sepd.ports import Clock
from sepd.risk.book import Book
from sepd.settings import Settings
from sepd.signals.view import InstrumentView

MEBI = 1024 * 1024
ZERO = Decimal(0)


@dataclass
class Health:
    """What the daemon knows of itself that no other part does.

    `faults` maps a part (prices, transactions, store, cache …) to the sentence of its trouble.
    """

    phase: State = "starting"
    faults: dict[str, str] = field(default_factory=dict)
    last_error: str | None = None
    reconciled_ns: int | None = None

    def fault(self, part: str, sentence: str) -> None:
        """Note a fault; an empty sentence says that it has passed."""
        if sentence:
            self.faults[part] = sentence
            self.last_error = f"{part}: {sentence}"
        else:
            self.faults.pop(part, None)


@dataclass(frozen=True)
class Report:
    """`Report(...)()` is the status of this instant."""

    settings: Settings
    health: Health
    queue: EventQueue
    pipeline: Pipeline
    views: Mapping[str, InstrumentView]
    book: Book
    executor: Executor
    staleness: Staleness
    outcomes: Outcomes
    analyser: Analyser
    currency: str
    clock: Clock
    timer: Clock
    started_ns: int
    process: psutil.Process = field(default_factory=psutil.Process)

    def __call__(self) -> Status:
        """Everything, read now."""
        tally = self.pipeline.tally
        now_ns = self.clock.now_ns()
        return Status(
            state=self._state(),
            role=self.settings.role,
            mode=self.settings.mode,
            version=__version__,
            uptime_s=round((self.timer.monotonic_ns() - self.started_ns) / 1e9, 3),
            config_version=self.settings.version,
            queue=QueueStatus(
                self.queue.depth, self.queue.oldest_age_ns / 1e6, self.queue.conflated
            ),
            latency_us=_percentiles(list(tally.latencies_ns)),
            backend=self.analyser.backend,
            store=self._service("store"),
            cache=self._service("cache"),
            broker=self._broker(),
            instruments={name: self._instrument(name) for name in self.views},
            signals=SignalCounts(tally.signals, tally.last_signal),
            orders=self._orders(),
            positions=self._positions(),
            pl=ProfitStatus(self.book.realized, self.book.balance, self.currency),
            risk=self._risk(now_ns),
            events=tally.events,
            quotes=tally.quotes,
            memory_mb=round(self.process.memory_info().rss / MEBI, 1),
            last_error=self.health.last_error,
        )

    def _state(self) -> State:
        if self.health.phase != "running":
            return self.health.phase
        if self.book.killed:
            return "killed"
        if self.health.faults or not self.book.ready:
            return "degraded"
        return "paused" if self.pipeline.paused else "running"

    def _service(self, part: str) -> ServiceStatus:
        sentence = self.health.faults.get(part, "")
        return ServiceStatus(not sentence, sentence)

    def _broker(self) -> BrokerStatus:
        faults = [self.health.faults.get(part, "") for part in ("prices", "transactions")]
        reconciled = self.health.reconciled_ns
        return BrokerStatus(
            ok=not any(faults),
            last_transaction_id=self.executor.last_transaction_id,
            reconciled_at=None if reconciled is None else format_time(reconciled),
            detail=" ".join(filter(None, faults)),
        )

    def _instrument(self, name: str) -> InstrumentStatus:
        quote = self.book.quotes.get(name)
        age_ms = self.staleness.last_event_age_ms(name)
        return InstrumentStatus(
            last_event_age_ms=None if age_ms is None else round(age_ms),
            stale=self.staleness.stale(name),
            spread_points=None if quote is None else quote.spread,
            candles={str(g): count for g, count in self.views[name].counts().items()},
            corrected=self.views[name].check.counts[Agreement.DIFFERENT],
        )

    def _orders(self) -> OrderCounts:
        tally = self.pipeline.tally
        return OrderCounts(
            total=tally.orders,
            filled=self.outcomes.filled,
            refused=dict(tally.refused + self.outcomes.refused),
            open=sum(order.state not in FILLED for order in self.executor.orders),
        )

    def _positions(self) -> list[PositionStatus]:
        return [
            PositionStatus(
                trade_id=trade.trade_id,
                instrument=trade.instrument,
                units=f"{trade.units:f}",
                price=self.book.instruments[trade.instrument].price_text(trade.price),
                opened_at=format_time(trade.opened_ns),
            )
            for trade in self.book.trades.values()
        ]

    def _risk(self, now_ns: int) -> RiskStatus:
        day = self.book.day(now_ns)
        return RiskStatus(
            kill=self.book.killed,
            daily_loss=max(-day.realized_pl, ZERO),
            daily_loss_limit=day.opening_balance * self.settings.risk.max_daily_loss,
            blocked={
                name: ", ".join(sorted(causes))
                for name, causes in self.book.blocked.items()
                if causes
            },
        )


def _percentiles(latencies_ns: list[int]) -> Percentiles:
    if not latencies_ns:
        return Percentiles(0, 0)
    latencies_ns.sort()
    last = len(latencies_ns) - 1
    return Percentiles(latencies_ns[last // 2] // 1000, latencies_ns[last * 99 // 100] // 1000)


def starting(settings: Settings, health: Health, backend: str, uptime_s: float) -> Status:
    """The status before recovery is over: nothing is known of the account yet."""
    candles = {str(granularity): 0 for granularity in settings.market.all_granularities}
    unknown = InstrumentStatus(None, stale=True, spread_points=None, candles=candles)
    return Status(
        state=health.phase,
        role=settings.role,
        mode=settings.mode,
        version=__version__,
        uptime_s=round(uptime_s, 3),
        config_version=settings.version,
        queue=QueueStatus(0, 0.0, 0),
        latency_us=Percentiles(0, 0),
        backend=backend,
        store=ServiceStatus(True),
        cache=ServiceStatus(True),
        broker=BrokerStatus(False, 0, None, health.faults.get("start", "not reconciled yet")),
        instruments=dict.fromkeys(settings.instruments, unknown),
        signals=SignalCounts(0, None),
        orders=OrderCounts(0, 0, {}, 0),
        positions=[],
        pl=ProfitStatus(ZERO, None, ""),
        risk=RiskStatus("", ZERO, ZERO, {}),
        events=0,
        quotes=0,
        memory_mb=0.0,
        last_error=health.last_error,
    )
