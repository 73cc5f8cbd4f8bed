"""The engine's definition once more, scalar and literal, to judge every implementation.

Written from BITSPACE.md alone: no import from sepd, one position at a time, tables through
40-digit decimals.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import cache
from itertools import pairwise

DIGITS = Context(prec=40, rounding=ROUND_HALF_EVEN)
ONE = 16384
INVALID = -32768

type Row = tuple[int, ...]
type Metrics = tuple[int, int, int, int]

UNDAMPED: Row = (INVALID, INVALID, INVALID, INVALID, 0, 0, 0)
NOTHING: Row = (INVALID, INVALID, INVALID, INVALID, 0, 0, 0, 0, *UNDAMPED)


def q14(exact: Decimal) -> int:
    return int((ONE * exact).to_integral_value(ROUND_HALF_EVEN))


@cache
def entropy_term(n: int, total: int) -> int:
    if n == 0:
        return 0
    with localcontext(DIGITS):
        share = Decimal(n) / total
        return q14(-share * share.ln() / Decimal(3).ln())


@cache
def overlap_term(product: int, old: int, new: int) -> int:
    with localcontext(DIGITS):
        return q14((Decimal(product) / (old * new)).sqrt())


@cache
def gain(decay: int, step: int) -> int:
    with localcontext(DIGITS):
        rate = Decimal("0.01") + Decimal("0.99") * decay / 255
        return q14((-rate * step).exp())


def ratio(part: int, whole: int) -> int:
    return (part * ONE + whole // 2) // whole


def default_expectation(order: int) -> tuple[int, ...]:
    return tuple(context % 2 for context in range(2**order))


def error_bits(bits: Sequence[int], order: int, expectation: Sequence[int]) -> list[int]:
    errors = [0] * min(order, len(bits))
    for t in range(order, len(bits)):
        context = int("".join(str(b) for b in bits[t - order : t]), 2)
        errors.append(bits[t] ^ expectation[context])
    return errors


@cache
def shape(window: tuple[int, ...]) -> tuple[int, int, int, int, int, int]:
    """C, H, P, null, flip, rupture of one window, oldest bit first."""
    total = len(window) - 1
    states = ["flip" if a != b else "rupture" if a else "null" for a, b in pairwise(window)]
    null, flip, rupture = (states.count(name) for name in ("null", "flip", "rupture"))
    entropy = min(ONE, sum(entropy_term(n, total) for n in (null, flip, rupture)))
    older, newer = states[: total // 2], states[total // 2 :]
    overlap = sum(
        overlap_term(older.count(name) * newer.count(name), len(older), len(newer))
        for name in ("null", "flip", "rupture")
    )
    s = min(ONE, overlap)
    size = ratio(abs(rupture - null), total)
    polarity = size if rupture >= null else -size
    return (s * s + 8192) >> 14, entropy, polarity, null, flip, rupture


def decay_of(entropy: int, coherence: int) -> int:
    rate = (4915 * entropy + 3277 * (ONE - coherence) + 8192) >> 14
    rate = max(164, min(ONE, rate))
    return (2 * 255 * (rate - 164) + (ONE - 164)) // (2 * (ONE - 164))


def damp(past: Sequence[Metrics], tolerance: int) -> tuple[Row, list[Metrics]]:
    """Damped columns and path from the metrics at t, t − 1, … t − I."""
    state = past[0]
    decay = decay_of(state[2], state[0])
    path = [state]
    for step in range(1, len(past)):
        moves = [
            (gain(decay, step) * (then - now) + 8192) >> 14
            for then, now in zip(past[step], state, strict=True)
        ]
        c, s, h, p = (now + move for now, move in zip(state, moves, strict=True))
        state = (c, s, h, p)
        path.append(state)
        if all(abs(move) <= tolerance for move in moves):
            path += [state] * (len(past) - len(path))
            return (*state, decay, step, 1), path
    return (*state, decay, len(past) - 1, 0), path


def segment_rows(
    bits: Sequence[int],
    window: int,
    order: int,
    expectation: Sequence[int] | None = None,
    iterations: int = 16,
    tolerance: int = 0,
) -> list[Row]:
    """One row for each bit of one segment: the 15 columns of the vectors file."""
    errors = error_bits(bits, order, expectation or default_expectation(order))
    rows: list[Row] = []
    metrics: list[Metrics | None] = []
    for t in range(len(bits)):
        if t < window - 1:
            metrics.append(None)
            rows.append(NOTHING)
            continue
        c, h, p, *counts = shape(tuple(bits[t - window + 1 : t + 1]))
        probed = window - order
        corrections = sum(errors[t - probed + 1 : t + 1])
        stability = ONE - ratio(corrections, probed)
        metrics.append((c, stability, h, p))
        past = [m for m in reversed(metrics[max(0, t - iterations) :]) if m is not None]
        damped = UNDAMPED
        if iterations and len(past) == iterations + 1:
            damped = damp(past, tolerance)[0]
        rows.append((c, stability, h, p, *counts, corrections, *damped))
    return rows


def rows(
    bits: Sequence[int],
    starts: Sequence[int],
    window: int,
    order: int,
    expectation: Sequence[int] | None = None,
    iterations: int = 16,
    tolerance: int = 0,
) -> list[Row]:
    """The rows of a ragged batch: each segment by itself."""
    ends = [*starts[1:], len(bits)]
    found: list[Row] = []
    for low, high in zip(starts, ends, strict=True):
        found += segment_rows(bits[low:high], window, order, expectation, iterations, tolerance)
    return found
