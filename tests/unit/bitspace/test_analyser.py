"""The engine as a daemon keeps it."""

from collections.abc import Callable

import numpy as np
import pytest

from sepd.bitspace import (
    Analyser,
    Analysis,
    Bitstream,
    DeviceFault,
    Parameters,
    analyze,
    parameters,
)
from sepd.bitspace.golden import golden_cases
from sepd.bitspace.numpy_backend import NumpyBackend
from sepd.errors import InvariantViolated

BITS = np.random.default_rng(5).integers(0, 2, 500, np.uint8)


class FakeDevice:
    """A device that computes like the CPU until `after` calls, then does `then`."""

    name = "cuda"

    def __init__(self, after: int, then: Callable[[Analysis], Analysis]) -> None:
        self.calls = 0
        self._after = after
        self._then = then

    def analyze(self, stream: Bitstream, chosen: Parameters, *, path: bool = False) -> Analysis:
        self.calls += 1
        found = NumpyBackend().analyze(stream, chosen, path=path)
        return found if self.calls <= self._after else self._then(found)


def break_down(found: Analysis) -> Analysis:
    found.metrics[:] = 77  # half-written results must never be seen
    raise DeviceFault("the device ran out of memory")


def corrupt_one_value(found: Analysis) -> Analysis:
    found.metrics[2, -1] += 1
    return found


def test_the_golden_rows_are_proven_at_start() -> None:
    assert Analyser(backend="numpy").proven_rows == sum(
        case.stream.length for case in golden_cases()
    )


def test_auto_says_which_backend_and_why() -> None:
    analyser = Analyser()
    assert analyser.backend in ("numpy", "cuda")
    assert analyser.reason
    assert analyser.degraded is None


@pytest.mark.parametrize("case", range(len(golden_cases())))
def test_a_single_wrong_integer_in_any_golden_case_refuses_to_run(case: int) -> None:
    with pytest.raises(InvariantViolated, match=r"gives a wrong .* golden case"):
        Analyser(backend=FakeDevice(after=case, then=corrupt_one_value))


def test_a_fault_in_mid_batch_is_recomputed_on_the_cpu_and_told_once() -> None:
    device = FakeDevice(after=len(golden_cases()) + 1, then=break_down)
    told: list[str] = []
    analyser = Analyser(parameters(window=32), device, told.append)
    before = analyser.analyze(BITS)
    during = analyser.analyze(BITS)
    after = analyser.analyze(BITS)
    wanted = analyze(BITS, window=32, backend="numpy").columns()
    for found in (before, during, after):
        for name, column in found.columns().items():
            np.testing.assert_array_equal(column, wanted[name])
    assert (during.backend, after.backend, analyser.backend) == ("numpy", "numpy", "numpy")
    assert device.calls == len(golden_cases()) + 2
    assert told == ["the device ran out of memory; on the CPU until restart"]
    assert analyser.degraded == analyser.reason == told[0]


def test_a_device_that_fails_the_proof_by_a_fault_degrades_to_the_cpu() -> None:
    told: list[str] = []
    analyser = Analyser(backend=FakeDevice(after=0, then=break_down), on_fault=told.append)
    assert analyser.backend == "numpy"
    assert analyser.proven_rows > 0
    assert len(told) == 1
