"""Bad input is refused with the argument's name and what is legal."""

from typing import Any

import numpy as np
import pytest

from sepd.bitspace import MarketDataConverter, Stream, analyze, fit
from sepd.bitspace.cuda_kernels import device_missing
from sepd.errors import InputError

BITS = np.zeros(100, np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": BITS + 2}, "bits must hold only 0 and 1, got 2"),
        ({"bits": BITS.astype(np.int64)}, "bits must be .* dtype uint8 .* got int64"),
        ({"bits": BITS.astype(np.float64)}, "bits must be .* dtype uint8 .* got float64"),
        ({"bits": "0101"}, "bits must be a NumPy array .* got str"),
        ({"bits": BITS.reshape(10, 10)}, "bits must have one dimension, got 2"),
        ({"window": 2}, "window must be in 3…64, got 2"),
        ({"window": 65}, "window must be in 3…64, got 65"),
        ({"window": 8.0}, "window must be an integer in 3…64, got 8.0"),
        ({"order": 0}, "order must be in 1…8, got 0"),
        ({"order": 9}, "order must be in 1…8, got 9"),
        ({"window": 4, "order": 4}, "order must be in 1…3, got 4"),
        ({"expectation": [0, 1, 0]}, "expectation must hold 2\\^order = 2 bits.*got 3"),
        ({"expectation": [0, 2]}, "expectation must hold only 0 and 1"),
        ({"iterations": -1}, "iterations must be in 0…64, got -1"),
        ({"iterations": 65}, "iterations must be in 0…64, got 65"),
        ({"tolerance": -1}, "tolerance must be in 0…16384, got -1"),
        ({"segment_starts": [0, 50, 40]}, "segment_starts must ascend within 0…100"),
        ({"segment_starts": [0, 101]}, "segment_starts must ascend within 0…100"),
        ({"segment_starts": [5]}, "segment_starts must begin with 0, got 5"),
        ({"segment_starts": []}, "segment_starts must be a non-empty"),
        ({"segment_starts": [0.0, 4.0]}, "segment_starts must be .* integers"),
        ({"bits": [BITS], "segment_starts": [0]}, "segment_starts must be None"),
        ({"backend": "gpu"}, "backend must be one of auto, numpy, cuda; got 'gpu'"),
    ],
)
def test_analyze_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        analyze(**{"bits": BITS, **arguments})


def test_cuda_without_a_device_is_refused_with_the_reason() -> None:
    missing = device_missing()
    if missing is None:
        pytest.skip("a CUDA device is present")
    with pytest.raises(InputError, match=f"backend must be auto or numpy here: {missing}"):
        analyze(BITS, backend="cuda")


@pytest.mark.parametrize("bit", [2, -1, "1", None])
def test_a_stream_refuses_what_is_no_bit_and_goes_on(bit: Any) -> None:
    stream = Stream(window=3, iterations=0)
    stream.push_all([1, 1])
    with pytest.raises(InputError, match="bit must be 0 or 1"):
        stream.push(bit)
    assert stream.push(1).rupture == 2


def test_fit_refuses_an_order_out_of_range() -> None:
    with pytest.raises(InputError, match="order must be in 1…8"):
        fit(BITS, order=9)


TIMES = np.arange(3, dtype=np.int64)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"time_ns": TIMES[::-1]}, "time_ns must ascend"),
        ({"bid": TIMES.astype(np.float64)}, "bid must be a one-dimensional int64 array"),
        ({"ask": TIMES[:2]}, "ask must have as many values as time_ns, 3"),
    ],
)
def test_the_converter_refuses(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MarketDataConverter().convert(**{"time_ns": TIMES, "bid": TIMES, "ask": TIMES, **columns})


def test_the_converter_refuses_unknown_planes_and_bad_limits() -> None:
    with pytest.raises(InputError, match=r"planes must be among direction, .*; got 'moon'"):
        MarketDataConverter(planes=("moon",))
    with pytest.raises(InputError, match="max_gap_ns must be above 0"):
        MarketDataConverter(max_gap_ns=0)
    with pytest.raises(InputError, match="reopenings must ascend"):
        MarketDataConverter(reopenings=[2, 1])
    live = MarketDataConverter().live()
    live.push(5, 1, 2)
    with pytest.raises(InputError, match="time_ns must ascend: 4 came after 5"):
        live.push(4, 1, 2)
