"""The rows that an analysis gives, as columns."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace.parameters import Parameters
from sepd.errors import InputError

METRICS: Final = ("coherence", "stability", "entropy", "polarity")
COUNTS: Final = ("null", "flip", "rupture", "corrections")
DAMPED: Final = tuple(f"damped_{name}" for name in METRICS)
COLUMNS: Final = (*METRICS, *COUNTS, *DAMPED, "decay", "steps", "converged")
COLLAPSE: Final = 0.6
_THRESHOLD_UNITS: Final = 10_000  # collapse thresholds are kept to four decimals

type Column = NDArray[np.int16] | NDArray[np.uint8] | NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """Four Q14 metrics by name; `metrics` is int16 of shape (4, n), −32768 where invalid."""

    metrics: NDArray[np.int16]

    @property
    def coherence(self) -> NDArray[np.int16]:
        """C, 0 … 16384."""
        return self.metrics[0, :]

    @property
    def stability(self) -> NDArray[np.int16]:
        """S, 0 … 16384."""
        return self.metrics[1, :]

    @property
    def entropy(self) -> NDArray[np.int16]:
        """H, 0 … 16384."""
        return self.metrics[2, :]

    @property
    def polarity(self) -> NDArray[np.int16]:
        """P, −16384 … 16384."""
        return self.metrics[3, :]


@dataclass(frozen=True, slots=True, eq=False)
class Damped(Metrics):
    """Damped metrics (BITSPACE.md section 3).

    decay, steps : uint8, ℓ and the steps done; 0 where invalid
    converged : bool, False where invalid
    path : int16 (iterations + 1, 4, n), m_0 … m_I, where it was asked for
    """

    decay: NDArray[np.uint8]
    steps: NDArray[np.uint8]
    converged: NDArray[np.bool_]
    path: NDArray[np.int16] | None

    @classmethod
    def empty(cls, length: int, iterations: int, *, path: bool) -> "Damped":
        """Unwritten columns for `length` positions."""
        return cls(
            np.empty((4, length), np.int16),
            np.empty(length, np.uint8),
            np.empty(length, np.uint8),
            np.empty(length, np.bool_),
            np.empty((iterations + 1, 4, length), np.int16) if path else None,
        )

    def rows(self, low: int, high: int) -> "Damped":
        """Views of the positions low … high − 1."""
        cut = slice(low, high)
        path = None if self.path is None else self.path[:, :, cut]
        return Damped(
            self.metrics[:, cut], self.decay[cut], self.steps[cut], self.converged[cut], path
        )


@dataclass(frozen=True, slots=True, eq=False)
class Analysis(Metrics):
    """One row of BITSPACE.md sections 2 and 3 for each bit, kept as columns.

    counts : uint8 (4, n): null, flip, rupture, corrections; 0 where invalid
    damping : the damped metrics, None for iterations = 0
    starts : int64, the segment starts of the batch
    backend : the name of the backend that computed it
    """

    counts: NDArray[np.uint8]
    damping: Damped | None
    starts: NDArray[np.int64]
    parameters: Parameters
    backend: str

    @classmethod
    def empty(
        cls,
        length: int,
        starts: NDArray[np.int64],
        parameters: Parameters,
        backend: str,
        *,
        path: bool = False,
    ) -> "Analysis":
        """Unwritten columns for `length` positions."""
        iterations = parameters.iterations
        return cls(
            np.empty((4, length), np.int16),
            np.empty((4, length), np.uint8),
            Damped.empty(length, iterations, path=path) if iterations else None,
            starts,
            parameters,
            backend,
        )

    def __len__(self) -> int:
        return int(self.metrics.shape[1])

    @property
    def null(self) -> NDArray[np.uint8]:
        """Transitions 0→0 in the window."""
        return self.counts[0, :]

    @property
    def flip(self) -> NDArray[np.uint8]:
        """Transitions 0→1 and 1→0 in the window."""
        return self.counts[1, :]

    @property
    def rupture(self) -> NDArray[np.uint8]:
        """Transitions 1→1 in the window."""
        return self.counts[2, :]

    @property
    def corrections(self) -> NDArray[np.uint8]:
        """Bits of the error window that differ from the expectation."""
        return self.counts[3, :]

    @property
    def damped(self) -> Damped:
        """The damped metrics; refused where the analysis was asked for iterations = 0."""
        if self.damping is None:
            raise InputError("iterations was 0, so nothing was damped; ask for 1…64")
        return self.damping

    @property
    def decay(self) -> NDArray[np.uint8]:
        """ℓ, 0 … 255."""
        return self.damped.decay

    @property
    def steps(self) -> NDArray[np.uint8]:
        """Damping steps done."""
        return self.damped.steps

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether the last damping step moved nothing."""
        return self.damped.converged

    def qfh_collapse(self, threshold: float = COLLAPSE) -> NDArray[np.bool_]:
        """Where rupture/T reaches `threshold`; False where invalid."""
        return self._reaches(self.rupture, self.parameters.transitions, threshold)

    def qbsa_collapse(self, threshold: float = COLLAPSE) -> NDArray[np.bool_]:
        """Where corrections/(W − k) reaches `threshold`; False where invalid."""
        return self._reaches(self.corrections, self.parameters.probed, threshold)

    def _reaches(
        self, counts: NDArray[np.uint8], whole: int, threshold: float
    ) -> NDArray[np.bool_]:
        if not 0 <= threshold <= 1:
            raise InputError(f"threshold must be in 0…1, got {threshold}")
        least = -(-round(threshold * _THRESHOLD_UNITS) * whole // _THRESHOLD_UNITS)
        reached: NDArray[np.bool_] = (counts >= least) & (self.polarity >= -(1 << 14))
        return reached

    def rows(self, low: int, high: int) -> "Analysis":
        """Views of the positions low … high − 1; `starts` becomes relative to `low`."""
        damping = None if self.damping is None else self.damping.rows(low, high)
        inside = self.starts[(self.starts > low) & (self.starts < high)] - low
        return replace(
            self,
            metrics=self.metrics[:, low:high],
            counts=self.counts[:, low:high],
            damping=damping,
            starts=np.concatenate((np.zeros(1, np.int64), inside)),
        )

    def assign(self, other: "Analysis", each: Callable[..., Iterable[None]] = map) -> None:
        """Overwrite every column with that of an analysis of the same shape.

        each : maps `np.copyto` over pairs of columns; an executor's `map` copies in threads
        """
        mine, theirs = list(self.columns().values()), list(other.columns().values())
        for one, copy in ((self.damping, mine), (other.damping, theirs)):
            if one is not None and one.path is not None:
                copy.append(one.path)
        for _ in each(np.copyto, mine, theirs):
            pass

    def segments(self) -> Iterator["Analysis"]:
        """The rows of each segment, in order."""
        ends = [*self.starts[1:].tolist(), len(self)]
        for low, high in zip(self.starts.tolist(), ends, strict=True):
            yield self.rows(low, high)

    def columns(self) -> dict[str, Column]:
        """All columns by name, in the order of a `Row` of the stream."""
        found: dict[str, Column] = dict(zip(METRICS, self.metrics, strict=True))
        found.update(zip(COUNTS, self.counts, strict=True))
        if self.damping is not None:
            found.update(zip(DAMPED, self.damping.metrics, strict=True))
            found["decay"] = self.damping.decay
            found["steps"] = self.damping.steps
            found["converged"] = self.damping.converged
        return found
