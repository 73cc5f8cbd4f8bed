"""Integer tables of the engine: every formula of BITSPACE.md sections 2 and 3 that is not
plain counting, once, for all backends.

Ratios are Q14 (int16, 1.0 = 16384). Floats appear here only while a table is computed; no
entry lies near a rounding tie (a test measures the margin), so every libm gives the same
integers.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, isqrt, log2
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace.parameters import Parameters

ONE: Final = 1 << 14
HALF: Final = 1 << 13
INVALID: Final = -32768

ENTROPY_WEIGHT: Final = 4915  # k1 = 0.30
DECOHERENCE_WEIGHT: Final = 3277  # k2 = 0.20
DECAY_MIN: Final = 164  # 0.01
DECAY_MAX: Final = ONE  # 1
DECAY_STEPS: Final = 255

COUNT_BITS: Final = 6  # a count of transitions is at most 63


def ratio(part: int, whole: int) -> int:
    """Q14 of part/whole, rounded half up (BITSPACE.md section 0)."""
    return (part * ONE + whole // 2) // whole


def upper_half_scale(whole: int) -> int:
    """Factor f with `ratio(part, whole)` = (part·f + 2^15) >> 16 for every part of `whole` ≤ 64."""
    return (2**31 + whole) // (2 * whole)


def halves(transitions: int) -> tuple[int, int]:
    """Sizes of the older and the newer half of the transitions of one window."""
    return transitions // 2, transitions - transitions // 2


@lru_cache
def entropy_terms(transitions: int) -> tuple[int, ...]:
    """E[n]: the share of H that a state seen n times out of `transitions` contributes."""
    shares = (n / transitions for n in range(1, transitions + 1))
    return (0, *(round(ONE * (-r * log2(r) / log2(3))) for r in shares))


@lru_cache
def overlap_terms(transitions: int) -> tuple[int, ...]:
    """R[a·b] = √(a·b / (n_old·n_new)), indexed by the product of the two counts; exact."""
    old, new = halves(transitions)
    return tuple(
        (isqrt(4 * ONE * ONE * product // (old * new)) + 1) // 2 for product in range(old * new + 1)
    )


def coherence_of(overlap: int) -> int:
    """C from ΣR: the squared, saturated overlap of the two halves."""
    s = min(ONE, overlap)
    return (s * s + HALF) >> 14


def polarity_of(difference: int, transitions: int) -> int:
    """P from rupture − null, rounded half away from zero."""
    magnitude = ratio(abs(difference), transitions)
    return magnitude if difference >= 0 else -magnitude


def decay_index(entropy: int, coherence: int) -> int:
    """ℓ: the nearest of 256 decay steps for one H and one C."""
    return decay_steps()[decay_rate(entropy, coherence)]


def decay_rate(entropy: int, coherence: int) -> int:
    """λq before clamping."""
    return (ENTROPY_WEIGHT * entropy + DECOHERENCE_WEIGHT * (ONE - coherence) + HALF) >> 14


@lru_cache
def decay_steps() -> tuple[int, ...]:
    """ℓ for each unclamped λq that an H and a C in 0…1 can give."""
    span = DECAY_MAX - DECAY_MIN
    rates = (min(DECAY_MAX, max(DECAY_MIN, q)) for q in range(decay_rate(ONE, 0) + 1))
    return tuple((2 * DECAY_STEPS * (q - DECAY_MIN) + span) // (2 * span) for q in rates)


@lru_cache
def gain_row(decay: int, iterations: int) -> tuple[int, ...]:
    """G[ℓ][i] for i = 0 … iterations."""
    rate = 0.01 + 0.99 * decay / DECAY_STEPS
    return tuple(round(ONE * exp(-rate * i)) for i in range(iterations + 1))


@lru_cache
def gains(iterations: int) -> NDArray[np.int32]:
    """G as an int32 array [i, ℓ], i = 0 … iterations, ℓ = 0 … 255."""
    rows = [gain_row(decay, iterations) for decay in range(DECAY_STEPS + 1)]
    return frozen(np.array(rows, np.int32).T)


def frozen[T: np.generic](table: NDArray[T]) -> NDArray[T]:
    """A contiguous copy that refuses writes: tables are shared between threads."""
    table = np.ascontiguousarray(table)
    table.setflags(write=False)
    return table


@dataclass(frozen=True, slots=True)
class WindowTables:
    """Lookup tables for windows of T transitions with counts packed into one index.

    entropy, polarity : int16, indexed by flip + 64·rupture of the whole window
    coherence : int16, indexed by older·stride + newer, each half coded flip + base·rupture
    """

    transitions: int
    old: int
    new: int
    base: int
    stride: int
    entropy: NDArray[np.int16]
    polarity: NDArray[np.int16]
    coherence: NDArray[np.int16]


@lru_cache(maxsize=8)
def window_tables(transitions: int) -> WindowTables:
    """Tables for one window size; the largest, for 64 bits, takes 2.2 MB."""
    old, new = halves(transitions)
    base = new + 1
    stride = new * base + 1
    rupture, flip = np.divmod(np.arange(transitions << COUNT_BITS | 1), 1 << COUNT_BITS)
    null = np.maximum(transitions - rupture - flip, 0)
    terms = np.array(entropy_terms(transitions))
    terms = np.pad(terms, (0, (1 << COUNT_BITS) - terms.size))
    signed = [polarity_of(d, transitions) for d in range(-transitions, transitions + 1)]
    difference = np.clip(rupture - null, -transitions, transitions)
    return WindowTables(
        transitions,
        old,
        new,
        base,
        stride,
        frozen(np.minimum(ONE, terms[null] + terms[flip] + terms[rupture]).astype(np.int16)),
        frozen(np.array(signed, np.int16)[difference + transitions]),
        frozen(_coherence_table(transitions)),
    )


def _coherence_table(transitions: int) -> NDArray[np.int16]:
    old, new = halves(transitions)
    base = new + 1
    terms = np.array(overlap_terms(transitions), np.int32)
    old_rupture, old_flip = np.divmod(np.arange(old * base + 1), base)
    new_rupture, new_flip = np.divmod(np.arange(new * base + 1), base)
    overlap = np.zeros((old_flip.size, new_flip.size), np.int32)
    for older, newer in (
        (old_flip, new_flip),
        (old_rupture, new_rupture),
        (old - old_flip - old_rupture, new - new_flip - new_rupture),
    ):
        product = np.outer(np.maximum(older, 0), np.maximum(newer, 0))
        overlap += terms[np.minimum(product, old * new)]
    squares = np.array([coherence_of(s) for s in range(ONE + 1)], np.int16)
    return squares[np.minimum(overlap, ONE)].ravel()


@lru_cache
def stability(probed: int) -> NDArray[np.int16]:
    """S indexed by the corrections among `probed` bits of the error window."""
    values = [ONE - ratio(corrections, probed) for corrections in range(probed + 1)]
    return frozen(np.array(values, np.int16))


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything a backend looks up for one set of parameters."""

    window: WindowTables
    stability: NDArray[np.int16]
    expectation: NDArray[np.uint8]
    decay: NDArray[np.uint8]
    gains: NDArray[np.int32]


@lru_cache(maxsize=16)
def tables_for(parameters: Parameters) -> Tables:
    """The tables of one set of parameters."""
    return Tables(
        window_tables(parameters.transitions),
        stability(parameters.probed),
        frozen(np.array(parameters.expectation, np.uint8)),
        frozen(np.array(decay_steps(), np.uint8)),
        gains(parameters.iterations),
    )
