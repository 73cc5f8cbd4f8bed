"""The tables against 40-digit decimals, and their distance from rounding ties."""

from decimal import Decimal, localcontext

import pytest

from sepd.bitspace import tables
from tests.unit.bitspace import oracle

# float64 errs by less than 1e-11 on values up to 16384; a tie nearer than this could round
# differently on another libm
SAFE = Decimal("1e-8")


def distance_from_tie(exact: Decimal) -> Decimal:
    return abs(exact % 1 - Decimal("0.5"))


@pytest.mark.parametrize("transitions", range(2, 64))
def test_entropy_and_overlap_terms(transitions: int) -> None:
    old, new = tables.halves(transitions)
    assert tables.entropy_terms(transitions) == tuple(
        oracle.entropy_term(n, transitions) for n in range(transitions + 1)
    )
    assert tables.overlap_terms(transitions) == tuple(
        oracle.overlap_term(product, old, new) for product in range(old * new + 1)
    )


def test_gains() -> None:
    for decay in range(256):
        assert tables.gain_row(decay, 64) == tuple(oracle.gain(decay, i) for i in range(65))


def test_no_entropy_term_lies_near_a_tie() -> None:
    with localcontext(oracle.DIGITS):
        for total in range(2, 64):
            for n in range(1, total):
                share = Decimal(n) / total
                exact = -oracle.ONE * share * share.ln() / Decimal(3).ln()
                assert distance_from_tie(exact) > SAFE, (n, total)


def test_no_gain_lies_near_a_tie() -> None:
    with localcontext(oracle.DIGITS):
        for decay in range(256):
            rate = Decimal("0.01") + Decimal("0.99") * decay / 255
            for step in range(1, 65):
                exact = oracle.ONE * (-rate * step).exp()
                assert distance_from_tie(exact) > SAFE, (decay, step)


def test_decay_of_every_entropy_and_coherence_near_every_step() -> None:
    for rate in range(len(tables.decay_steps())):
        clamped = max(164, min(16384, rate))
        nearest = min(
            range(256), key=lambda step: (abs(255 * (clamped - 164) - step * 16220), -step)
        )
        assert tables.decay_steps()[rate] == nearest


def test_ratios_of_small_wholes_have_no_ties_so_both_roundings_agree() -> None:
    for whole in range(1, 64):
        for part in range(whole + 1):
            assert (2 * part * tables.ONE) % (2 * whole) != whole
            assert tables.ratio(whole - part, whole) == tables.ONE - tables.ratio(part, whole)


def test_one_multiplication_gives_every_ratio_of_either_sign() -> None:
    for whole in range(1, 65):
        scale = tables.upper_half_scale(whole)
        for part in range(whole + 1):
            assert (part * scale + 2**15) >> 16 == tables.ratio(part, whole)
            assert (-part * scale + 2**15) >> 16 == -tables.ratio(part, whole)
            assert abs(part * scale + 2**15) < 2**31
