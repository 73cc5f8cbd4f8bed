"""Prometheus metrics, read off the same `Status` that `/status` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sepd.api.schema import Status


class StatusCollector(Collector):
    """Turns the status of the moment into metrics at each scrape."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def describe(self) -> list[Metric]:
        """Nothing is known before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One family per figure; names end in their unit."""
        status = self._status()
        yield _gauge("sepd_up", "1 while healthy", float(status.healthy))
        yield _gauge("sepd_uptime_seconds", "Since start", status.uptime_s)
        yield _gauge("sepd_queue_events", "Events waiting", status.queue.depth)
        yield _gauge("sepd_queue_lag_seconds", "Age of the oldest", status.queue.lag_ms / 1e3)
        yield _counter("sepd_conflated", "Quotes replaced by newer ones", status.queue.conflated)
        yield _counter("sepd_events", "Events consumed", status.events)
        yield _counter("sepd_signals", "Signals formed", status.signals.total)
        yield _counter("sepd_orders_filled", "Orders filled", status.orders.filled)
        yield _gauge("sepd_orders_open", "Orders without an outcome", status.orders.open)
        yield _gauge("sepd_positions", "Open trades", len(status.positions))
        yield _gauge("sepd_realised_pl", "Home currency", float(status.pl.realised))
        yield _gauge("sepd_memory_megabytes", "Resident memory", status.memory_mb)
        refused = CounterMetricFamily("sepd_orders_refused", "Orders refused", labels=["reason"])
        for reason, count in status.orders.refused.items():
            refused.add_metric([reason], count)
        yield refused
        latency = GaugeMetricFamily(
            "sepd_decision_latency_seconds", "Dequeued to decided", labels=["quantile"]
        )
        latency.add_metric(["0.5"], status.latency_us.p50 / 1e6)
        latency.add_metric(["0.99"], status.latency_us.p99 / 1e6)
        yield latency
        services = GaugeMetricFamily("sepd_service_up", "1 while reachable", labels=["service"])
        for name, ok in (
            ("store", status.store.ok),
            ("cache", status.cache.ok),
            ("broker", status.broker.ok),
        ):
            services.add_metric([name], float(ok))
        yield services
        yield from self._instruments(status)

    def _instruments(self, status: Status) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "sepd_instrument_age_seconds", "Since the last price", labels=["instrument"]
        )
        spread = GaugeMetricFamily(
            "sepd_instrument_spread_points", "Ask - bid", labels=["instrument"]
        )
        for name, instrument in status.instruments.items():
            if instrument.last_event_age_ms is not None:
                age.add_metric([name], instrument.last_event_age_ms / 1e3)
            if instrument.spread_points is not None:
                spread.add_metric([name], instrument.spread_points)
        yield age
        yield spread


def registry(status: Callable[[], Status]) -> CollectorRegistry:
    """A registry that holds only sepd's own metrics."""
    own = CollectorRegistry(auto_describe=False)
    own.register(StatusCollector(status))
    return own


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, value=value)
