"""The demonstration rule: every granularity must agree, and every threshold counts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.market import Granularity
from sepd.domain.signal import Action, Metrics
from sepd.settings import RuleSettings
from sepd.signals.rule import Held, PolarityRule, Reading

M5, M15 = Granularity.M5, Granularity.M15
NOW = M15.ns * 1000
RULE = PolarityRule(
    RuleSettings(
        granularities=(M15, M5),
        polarity_min=Decimal("0.10"),
        coherence_min=Decimal("0.80"),
        stability_min=Decimal("0.45"),
        entropy_max=Decimal("0.90"),
        hold_candles=24,
    )
)
GOOD = Metrics(coherence=15000, stability=9000, entropy=12000, polarity=3000)
Q14 = st.integers(min_value=-16384, max_value=16384)


def readings(fine: Metrics = GOOD, coarse: Metrics = GOOD, end_ns: int = NOW) -> list[Reading]:
    return [Reading(M5, end_ns, fine), Reading(M15, end_ns, coarse)]


def changed(**parts: int) -> Metrics:
    return Metrics(**{name: getattr(GOOD, name) for name in GOOD.__struct_fields__} | parts)


def test_agreement_gives_the_direction_of_the_polarity() -> None:
    up = RULE.opinion(readings(), NOW)
    down = RULE.opinion(readings(changed(polarity=-3000), changed(polarity=-1700)), NOW)
    assert up is not None
    assert up.action is Action.BUY
    assert down is not None
    assert down.action is Action.SELL
    assert down.confidence == 15000 * 1700 // 16384


def test_disagreement_gives_nothing() -> None:
    assert RULE.opinion(readings(coarse=changed(polarity=-3000)), NOW) is None


def test_a_missing_or_old_reading_gives_nothing() -> None:
    assert RULE.opinion(readings()[:1], NOW) is None
    assert RULE.opinion([Reading(M5, NOW - M5.ns, GOOD), readings()[1]], NOW) is None
    assert RULE.opinion([readings()[0], Reading(M15, NOW - M15.ns + 1, GOOD)], NOW) is not None


@pytest.mark.parametrize(
    ("name", "last_good", "first_bad"),
    [
        ("polarity", 1638, 1637),
        ("coherence", 13107, 13106),
        ("stability", 7373, 7372),
        ("entropy", 14746, 14747),
    ],
)
def test_each_threshold_at_the_limit_and_just_past_it(
    name: str, last_good: int, first_bad: int
) -> None:
    assert RULE.lean(changed(**{name: last_good})) == 1
    assert RULE.lean(changed(**{name: first_bad})) == 0


@given(Q14, Q14, Q14, Q14)
def test_inverting_the_polarity_inverts_the_lean(c: int, s: int, h: int, p: int) -> None:
    assert RULE.lean(Metrics(c, s, h, p)) == -RULE.lean(Metrics(c, s, h, -p))


def test_a_held_trade_is_left_on_the_opposite_opinion_or_after_its_time() -> None:
    up = RULE.opinion(readings(), NOW)
    assert RULE.act(up, None, NOW) is Action.BUY
    assert RULE.act(None, None, NOW) is None
    assert RULE.act(up, Held(1, NOW - M5.ns), NOW) is None
    assert RULE.act(up, Held(-1, NOW - M5.ns), NOW) is Action.CLOSE
    assert RULE.act(None, Held(1, NOW - 24 * M5.ns + 1), NOW) is None
    assert RULE.act(None, Held(1, NOW - 24 * M5.ns), NOW) is Action.CLOSE
