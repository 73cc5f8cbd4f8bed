"""Decimals as OANDA spells them: always strings, never empty."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)


def rounded(amount: Decimal, digits: int) -> Decimal:
    """`amount` with `digits` decimals, ties to even."""
    return amount.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)


def text(number: Decimal) -> str:
    """`number` without an exponent and without trailing zeros: units, distances, rates."""
    if not number:
        return "0"
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def fixed(number: Decimal, digits: int) -> str:
    """`number` with exactly `digits` decimals: money and prices."""
    return f"{rounded(number, digits) + ZERO:f}"
