"""Proof at start: a backend must reproduce golden rows before it may be used.

`golden.json` holds bits and a digest of every column that the scalar oracle gives for them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sepd.bitspace.analysis import Column
from sepd.bitspace.backend import Backend
from sepd.bitspace.bitstream import Bitstream, bitstream
from sepd.bitspace.parameters import Parameters, parameters
from sepd.errors import InvariantViolated

_DIGEST_LENGTH: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class GoldenCase:
    """A ragged batch, its parameters, and the digest of each column that it must give."""

    name: str
    parameters: Parameters
    stream: Bitstream
    digests: Mapping[str, str]


@lru_cache
def golden_cases() -> tuple[GoldenCase, ...]:
    """The cases that ship with the package."""
    text = files("sepd.bitspace").joinpath("golden.json").read_text(encoding="utf-8")
    return tuple(
        GoldenCase(
            case["name"],
            parameters(
                case["window"],
                case["order"],
                case["expectation"],
                case["iterations"],
                case["tolerance"],
            ),
            bitstream(np.array(list(case["bits"]), np.uint8), case["starts"]),
            case["digests"],
        )
        for case in json.loads(text)
    )


def digest(column: Column | NDArray[np.int32]) -> str:
    """A short digest of the integers of one column, whatever their width."""
    return sha256(column.astype("<i4").tobytes()).hexdigest()[:_DIGEST_LENGTH]


def prove(backend: Backend) -> int:
    """Check `backend` against every golden case; the number of rows compared.

    Raises
    ------
    InvariantViolated
        naming the first case and column that differ.
    """
    compared = 0
    for case in golden_cases():
        found = backend.analyze(case.stream, case.parameters)
        for name, column in found.columns().items():
            if digest(column) != case.digests[name]:
                raise InvariantViolated(
                    f"The {backend.name} backend gives a wrong {name} on golden case "
                    f"{case.name!r}: do not trade on this machine; run `sepd bench engine`, "
                    "then reinstall sepd or the CUDA driver."
                )
        compared += len(found)
    return compared
