"""What one analysis is asked for, and the refusal of what is outside the definition."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sepd.errors import InputError

WINDOW_MIN: Final = 3
WINDOW_MAX: Final = 64
ORDER_MIN: Final = 1
ORDER_MAX: Final = 8
ITERATIONS_MAX: Final = 64
TOLERANCE_MAX: Final = 16384


@dataclass(frozen=True, slots=True)
class Parameters:
    """Window, expectation and damping of one analysis (BITSPACE.md sections 2 and 3).

    window : bits per window, 3 … 64
    expectation : 2^order bits, the expected bit after each context
    iterations : damping steps I, 0 … 64; 0 leaves damping out
    tolerance : ε, the largest Q14 movement that counts as none, 0 … 16384
    """

    window: int
    expectation: tuple[int, ...]
    iterations: int
    tolerance: int

    @property
    def transitions(self) -> int:
        """T, the pairs of neighbouring bits in one window."""
        return self.window - 1

    @property
    def order(self) -> int:
        """k, the bits of context of the expectation."""
        return len(self.expectation).bit_length() - 1

    @property
    def probed(self) -> int:
        """W − k, the bits of the error window that corrections are counted in."""
        return self.window - self.order

    @property
    def reach(self) -> int:
        """Bits before t that the row of t depends on."""
        return self.window - 1 + self.iterations


def parameters(
    window: int = 64,
    order: int = 1,
    expectation: Collection[int] | NDArray[np.uint8] | None = None,
    iterations: int = 16,
    tolerance: int = 0,
) -> Parameters:
    """Checked parameters; `expectation` None means persistence.

    Raises
    ------
    InputError
        naming the argument and its legal range.
    """
    window = in_range("window", window, WINDOW_MIN, WINDOW_MAX)
    order = in_range("order", order, ORDER_MIN, min(ORDER_MAX, window - 1))
    iterations = in_range("iterations", iterations, 0, ITERATIONS_MAX)
    tolerance = in_range("tolerance", tolerance, 0, TOLERANCE_MAX)
    if expectation is None:
        return Parameters(window, persistence(order), iterations, tolerance)
    table = tuple(int(bit) for bit in expectation)
    if len(table) != 1 << order:
        raise InputError(
            f"expectation must hold 2^order = {1 << order} bits, one for each context of "
            f"{order}; got {len(table)}"
        )
    if any(bit not in (0, 1) for bit in table):
        raise InputError("expectation must hold only 0 and 1")
    return Parameters(window, table, iterations, tolerance)


def persistence(order: int) -> tuple[int, ...]:
    """The untrained expectation: the next bit equals the previous one."""
    return tuple(context & 1 for context in range(1 << order))


def in_range(name: str, value: int, low: int, high: int) -> int:
    """`value` as an int, refused by name where it is not an integer in low … high."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{name} must be an integer in {low}…{high}, got {value!r}")
    if not low <= value <= high:
        raise InputError(f"{name} must be in {low}…{high}, got {value}")
    return int(value)
