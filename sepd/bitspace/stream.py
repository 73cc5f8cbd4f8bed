"""One bit at a time: the same rows as a batch, at a constant cost per bit."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace.parameters import parameters
from sepd.bitspace.tables import (
    COUNT_BITS,
    DECAY_STEPS,
    DECOHERENCE_WEIGHT,
    ENTROPY_WEIGHT,
    HALF,
    INVALID,
    ONE,
    decay_steps,
    gain_row,
    tables_for,
)
from sepd.errors import InputError

type Point = tuple[int, int, int, int]


class Row(NamedTuple):
    """One position (BITSPACE.md sections 2 and 3): Q14 metrics, −32768 where invalid; counts."""

    coherence: int
    stability: int
    entropy: int
    polarity: int
    null: int
    flip: int
    rupture: int
    corrections: int
    damped_coherence: int
    damped_stability: int
    damped_entropy: int
    damped_polarity: int
    decay: int
    steps: int
    converged: bool


_UNDAMPED = (INVALID, INVALID, INVALID, INVALID, 0, 0, False)
_NOTHING = Row(INVALID, INVALID, INVALID, INVALID, 0, 0, 0, 0, *_UNDAMPED)
_LANE = (1 << 32) - 1
_LIFT = 1 << 16
_EACH = 1 | 1 << 32 | 1 << 64 | 1 << 96
_LIFTED, _HALVES, _ROUNDED = _LIFT * _EACH, HALF * _EACH, ((1 << 18) - 1) * _EACH
_TAKEN_OFF = (_LIFT >> 14) * _EACH
_make_row = tuple.__new__  # a NamedTuple's own constructor costs twice as much


class Stream:
    """The rows of one segment, bit by bit; `reset` begins the next segment.

    Bits are kept newest first, so the k newest bits are the context and the low bits of the
    transitions are the newer half.
    """

    def __init__(
        self,
        window: int = 64,
        order: int = 1,
        expectation: Collection[int] | NDArray[np.uint8] | None = None,
        iterations: int = 16,
        tolerance: int = 0,
    ) -> None:
        chosen = parameters(window, order, expectation, iterations, tolerance)
        tables = tables_for(chosen)
        self.parameters = chosen
        self._span = chosen.transitions
        self._window_mask = (1 << chosen.window) - 1
        self._span_mask = (1 << chosen.transitions) - 1
        self._newer_mask = (1 << tables.window.new) - 1
        self._context_mask = (1 << chosen.order) - 1
        self._error_mask = (1 << chosen.probed) - 1
        self._base = tables.window.base
        self._stride = tables.window.stride
        self._expectation = bytes(chosen.expectation)
        self._coherence = memoryview(tables.window.coherence)  # indexes to int, no copy of 2 MB
        self._entropy = tables.window.entropy.tolist()
        self._polarity = tables.window.polarity.tolist()
        self._stability = tables.stability.tolist()
        self._damping = _Damping(chosen.iterations, tolerance)
        self.reset()

    def reset(self) -> None:
        """Begin a new segment: nothing before the next bit counts."""
        self._bits = 0
        self._errors = 0
        self._missing = self.parameters.window
        self._damping.reset()

    def push(self, bit: int) -> Row:
        """Take the next bit and give its row; the cost does not depend on the window.

        Raises
        ------
        InputError
            where `bit` is neither 0 nor 1; the stream is unchanged.
        """
        if bit not in (0, 1):
            raise InputError(f"bit must be 0 or 1, got {bit!r}")
        before = self._bits
        error = self._expectation[before & self._context_mask] ^ bit
        self._errors = errors = (self._errors << 1 | error) & self._error_mask
        self._bits = bits = (before << 1 | bit) & self._window_mask
        if self._missing > 1:
            self._missing -= 1
            return _NOTHING
        older_bits = bits >> 1
        flips = (bits ^ older_bits) & self._span_mask
        ruptures = bits & older_bits
        flip = flips.bit_count()
        rupture = ruptures.bit_count()
        corrections = errors.bit_count()
        newer = (flips & self._newer_mask).bit_count()
        newer += self._base * (ruptures & self._newer_mask).bit_count()
        older = flip + self._base * rupture - newer
        state = rupture << COUNT_BITS | flip
        point = (
            self._coherence[older * self._stride + newer],
            self._stability[corrections],
            self._entropy[state],
            self._polarity[state],
        )
        null = self._span - flip - rupture
        damped = self._damping.push(point)
        return _make_row(Row, (*point, null, flip, rupture, corrections, *damped))

    def push_all(self, bits: Iterable[int]) -> list[Row]:
        """The rows of several bits."""
        return [self.push(bit) for bit in bits]

    def ahead(self) -> tuple[Row, Row]:
        """The rows that a bit 0 and a bit 1 would give next; the stream stays as it is."""
        return self._try(0), self._try(1)

    def _try(self, bit: int) -> Row:
        kept = self._bits, self._errors, self._missing
        with self._damping.undone():
            row = self.push(bit)
        self._bits, self._errors, self._missing = kept
        return row

    def path(self) -> list[Point]:
        """m_0 … m_I at the newest bit; empty where the damped metrics are invalid."""
        return self._damping.path()


class _Damping:
    """Section 3 over the newest metrics, the four of a point side by side in one integer.

    A lane is 32 bits wide; differences, at most 2^15 in size, are lifted by 2^16 so that none is
    negative and one shift and one mask round all four. What that adds, gain · 2^16 / 2^14, is
    taken off again.
    """

    def __init__(self, iterations: int, tolerance: int) -> None:
        self._iterations = iterations
        self._tolerance = tolerance
        self._steps = decay_steps()
        self._gains = [gain_row(decay, iterations)[1:] for decay in range(DECAY_STEPS + 1)]
        self._newest_first: deque[int] = deque(maxlen=iterations + 1)

    def reset(self) -> None:
        self._newest_first.clear()

    def push(self, point: Point) -> tuple[int | bool, ...]:
        """The damped columns once `point` is the newest."""
        if not self._iterations:
            return _UNDAMPED
        c, s, h, p = point
        self._newest_first.appendleft(c + (s << 32) + (h << 64) + (p << 96))
        if len(self._newest_first) <= self._iterations:
            return _UNDAMPED
        return self._damp(None)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What is pushed within the context is forgotten at its end."""
        before = self._newest_first.copy()
        yield
        self._newest_first = before

    def path(self) -> list[Point]:
        points: list[Point] = []
        if self._iterations and len(self._newest_first) > self._iterations:
            self._damp(points)
            points += points[-1:] * (self._iterations + 1 - len(points))
        return points

    def _damp(self, path: list[Point] | None) -> tuple[int | bool, ...]:
        past = iter(self._newest_first)
        lanes = next(past)
        coherence, _, entropy, _ = _point(lanes)
        rate = (ENTROPY_WEIGHT * entropy + DECOHERENCE_WEIGHT * (ONE - coherence) + HALF) >> 14
        decay = self._steps[rate]
        if path is not None:
            path.append(_point(lanes))
        steps = 0
        for gain, old in zip(self._gains[decay], past, strict=True):
            steps += 1
            raised = (gain * (old - lanes + _LIFTED) + _HALVES) >> 14 & _ROUNDED
            moved = raised - gain * _TAKEN_OFF
            lanes += moved
            if path is not None:
                path.append(_point(lanes))
            if not moved or (self._tolerance and self._tolerates(moved)):
                return *_point(lanes), decay, steps, True
        return *_point(lanes), decay, steps, False

    def _tolerates(self, moved: int) -> bool:
        return all(abs(lane - _LIFT) <= self._tolerance for lane in _point(moved + _LIFTED))


def _point(lanes: int) -> Point:
    return lanes & _LANE, lanes >> 32 & _LANE, lanes >> 64 & _LANE, lanes >> 96
