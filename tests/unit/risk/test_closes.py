"""The closes that correlations are measured from are the newest, in whatever order they came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sepd.domain.market import Candle, Granularity
from sepd.risk.correlation import Closes, correlations

M5 = Granularity.M5
KEPT = 20
PLACES = st.integers(0, 60)


def candle(name: str, place: int, close: int) -> Candle:
    prices = (close,) * 4
    return Candle(name, M5, place * M5.ns, *prices, *prices)


@given(st.lists(st.tuples(PLACES, st.integers(100_000, 100_050)), max_size=80))
def test_late_candles_and_corrections_take_their_place(came: list[tuple[int, int]]) -> None:
    closes = Closes(M5, KEPT, {})
    expected: dict[str, dict[int, int]] = {"EUR_USD": {}, "GBP_USD": {}}
    for place, close in came:
        for name, prices in expected.items():
            closes.add([candle(name, place, close + (place if name == "EUR_USD" else 0))])
            prices[place * M5.ns] = 2 * (close + (place if name == "EUR_USD" else 0))
            if len(prices) > KEPT:
                del prices[min(prices)]
    assert closes.measure() == correlations(expected, M5.ns, KEPT // 2)
