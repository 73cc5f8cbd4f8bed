"""The demonstration rule: trade with the damped polarity when the other metrics agree.

It exists so that the whole loop runs on real prices. It is not claimed to have an edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from sepd.domain.market import Granularity
from sepd.domain.signal import Action, Metrics
from sepd.settings import RuleSettings

RULE = "demo-polarity"
Q14 = 16384


class Reading(Struct, frozen=True, gc=False):
    """Damped metrics of one granularity at its newest complete candle; `end_ns` closes it."""

    granularity: Granularity
    end_ns: int
    metrics: Metrics


class Opinion(Struct, frozen=True, gc=False):
    """What the rule says; `confidence` is Q14, `metrics` those of the finest granularity."""

    action: Action
    confidence: int
    metrics: Metrics


class Held(Struct, frozen=True, gc=False):
    """A trade that is open: its direction, +1 or −1, and since when."""

    sign: int
    opened_ns: int


class PolarityRule:
    """Thresholds of the settings, turned into Q14 once.

    The rule is asked at the closes of `finest`, the shortest of its `granularities`.
    """

    def __init__(self, settings: RuleSettings) -> None:
        self.granularities = tuple(sorted(settings.granularities, key=lambda g: g.ns))
        self.finest = self.granularities[0]
        self._polarity_min = _q14(settings.polarity_min)
        self._coherence_min = _q14(settings.coherence_min)
        self._stability_min = _q14(settings.stability_min)
        self._entropy_max = _q14(settings.entropy_max)
        self.validity_ns = settings.validity_candles * self.finest.ns
        self.hold_ns = settings.hold_candles * self.finest.ns

    def lean(self, metrics: Metrics) -> int:
        """+1 or −1 where one granularity alone would trade, 0 where it would not."""
        if (
            metrics.coherence < self._coherence_min
            or metrics.stability < self._stability_min
            or metrics.entropy > self._entropy_max
            or abs(metrics.polarity) < max(self._polarity_min, 1)
        ):
            return 0
        return 1 if metrics.polarity > 0 else -1

    def opinion(self, readings: Sequence[Reading], now_ns: int) -> Opinion | None:
        """Opinion if every granularity has a fresh reading and all lean the same way, else None.

        A reading is fresh until a candle of its granularity should have closed since.
        Confidence is the weakest coherence · |polarity| among them: a score, not a probability.
        """
        fresh = {r.granularity: r.metrics for r in readings if now_ns - r.end_ns < r.granularity.ns}
        chosen = [fresh[granularity] for granularity in self.granularities if granularity in fresh]
        if len(chosen) < len(self.granularities):
            return None
        leans = {self.lean(metrics) for metrics in chosen}
        if len(leans) != 1 or leans == {0}:
            return None
        confidence = min([m.coherence * abs(m.polarity) // Q14 for m in chosen])
        return Opinion(Action.BUY if leans == {1} else Action.SELL, confidence, chosen[0])

    def act(self, opinion: Opinion | None, held: Held | None, now_ns: int) -> Action | None:
        """What to do: enter on an opinion, leave on the opposite one or after the holding time."""
        if held is None:
            return opinion.action if opinion else None
        turned = opinion is not None and opinion.action.sign == -held.sign
        return Action.CLOSE if turned or now_ns - held.opened_ns >= self.hold_ns else None


def _q14(ratio: Decimal) -> int:
    return round(ratio * Q14)
