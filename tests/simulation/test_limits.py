"""The watcher's own arithmetic: what several positions add up to, and what passes a limit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sepd.domain.market import Instrument
from sepd.settings import RiskSettings
from sepd.simulation.exposure import Holding, correlated, equity, exposure, too_much
from sepd.simulation.limits import broken
from sepd.simulation.record import Record
from sepd.venue.ledger import Row
from tests.support.trading import make_entry, make_signal

EUR, NZD, CHF = (Instrument(name) for name in ("EUR_USD", "NZD_USD", "USD_CHF"))
MONEY = Decimal(10_000)


def at(pair: Instrument, units: int, price: str, opened: str | None = None) -> Holding:
    return Holding(
        pair, Decimal(units), Decimal(price), Decimal(price), Decimal(opened) if opened else None
    )


def record() -> Record:
    """An account that was opened and funded."""
    kept = Record(Decimal(0))
    kept.add({"id": "1", "type": "CREATE"}, 0)
    kept.add({"id": "2", "type": "TRANSFER_FUNDS", "accountBalance": str(MONEY)}, 0)
    return kept


def passed(entry: Holding, held: tuple[Holding, ...], **limits: object) -> list[str]:
    """What is said of an entry of which nothing but `limits` could be wrong."""
    intent = make_entry(make_signal(1), units=int(entry.units), checkpoint=2)
    rules = RiskSettings().model_copy(update=limits)
    return list(broken(intent, entry, held, record(), rules, intent.created_ns))


def sums(*holdings: Holding) -> tuple[Decimal, Decimal, Decimal]:
    """Gross, largest currency, net."""
    held = exposure(holdings)
    return held.gross, held.largest, held.net


def test_pairs_add_up_gross_and_per_currency() -> None:
    held = at(EUR, 10_000, "1.2"), at(NZD, 10_000, "0.8")
    assert sums(*held) == (Decimal(20_000), Decimal(20_000), Decimal(20_000))
    assert exposure(held).margin == 400


def test_opposite_pairs_net_the_currency_that_they_share() -> None:
    netted = Decimal(20_000), Decimal(12_000), Decimal(12_000)
    assert sums(at(EUR, 10_000, "1.2"), at(NZD, -10_000, "0.8")) == netted
    assert sums(at(EUR, 10_000, "1.2"), at(CHF, 8_000, "0.9")) == netted


def test_unsure_prices_give_the_least_exposure_and_the_most_equity() -> None:
    long = Holding(EUR, Decimal(10_000), Decimal("1.1"), Decimal("1.3"), Decimal("1.2"))
    short = Holding(EUR, Decimal(-10_000), Decimal("1.1"), Decimal("1.3"), Decimal("1.2"))
    assert exposure([long]).gross == 11_000
    assert exposure([long, short]).largest == 0
    assert equity(MONEY, [long]) == equity(MONEY, [short]) == 11_000
    assert equity(MONEY, [at(CHF, 9_000, "0.8", "0.9")]) == MONEY - 1_125


def test_pairs_move_together_by_the_currencies_they_share() -> None:
    long = at(EUR, 1, "1.2")
    assert correlated(long, [at(NZD, 1, "0.8"), at(CHF, -1, "0.9")]) == 2
    assert correlated(long, [at(NZD, -1, "0.8"), at(CHF, 1, "0.9")]) == 0


@pytest.mark.parametrize(
    ("limit", "what"),
    [
        ({"max_gross_leverage": Decimal("1.99")}, "gross"),
        ({"max_net_leverage": Decimal("1.99")}, "net"),
        ({"max_currency_leverage": Decimal("1.99")}, "currency"),
        ({"max_margin_use": Decimal("0.0399")}, "margin"),
        ({"max_positions": 1}, "1 positions"),
        ({"max_correlated": 1}, "1 positions that move with it"),
    ],
)
def test_an_entry_is_judged_with_what_is_held_beside_it(
    limit: dict[str, object], what: str
) -> None:
    entry, held = at(EUR, 10_000, "1.2"), at(NZD, 10_000, "0.8")
    (said,) = passed(entry, (held,), **limit)
    assert what in said
    assert passed(entry, (), **limit) == []


def test_a_second_position_of_a_pair_is_too_many() -> None:
    assert passed(at(EUR, 1, "1.2"), (at(EUR, 1, "1.2"),)) == ["1 positions of its pair"]


def test_a_limit_itself_passes() -> None:
    held = [at(EUR, 10_000, "1.2"), at(NZD, 10_000, "0.8")]
    limits = RiskSettings(max_gross_leverage=Decimal(2), max_net_leverage=Decimal(2))
    assert too_much(held, MONEY, limits, Decimal(1)) == ""
    assert "gross" in too_much(held, MONEY - 1, limits, Decimal(1))


def fill(number: int, **fields: object) -> Row:
    return {"id": str(number), "type": "ORDER_FILL", "instrument": "EUR_USD", "pl": "0", **fields}


def test_the_record_knows_what_was_open_when() -> None:
    kept = record()
    opened = {"tradeID": "3", "units": "10", "price": "1.2"}
    kept.add(fill(3, tradeOpened=opened, clientOrderID="a"), 3)
    kept.add(fill(4, tradeReduced={"tradeID": "3", "units": "-4"}), 4)
    kept.add(fill(5, tradesClosed=[{"tradeID": "3", "units": "-6"}]), 5)
    units = [[trade.units for trade in kept.open_at(n).values()] for n in range(2, 7)]
    assert units == [[], [10], [6], [], []]
    assert [trade.name for trade in kept.opened_after(2)] == ["a"]
    assert not list(kept.opened_after(3))
