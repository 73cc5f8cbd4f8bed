"""Trained QBSA expectations: which bit follows each context (BITSPACE.md section 2)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sepd.bitspace.bitstream import Bitstream, bitstream
from sepd.bitspace.parameters import ORDER_MAX, ORDER_MIN, in_range, persistence
from sepd.errors import InputError

_FORMAT = "sepd-expectation-1"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Expectation:
    """A table of 2^order expected bits and the evidence it was trained on.

    zeros, ones : how often a 0 and a 1 followed each context in the training set
    """

    zeros: tuple[int, ...]
    ones: tuple[int, ...]

    @property
    def order(self) -> int:
        """k, the bits of context."""
        return len(self.ones).bit_length() - 1

    @property
    def table(self) -> tuple[int, ...]:
        """The majority next bit of each context; persistence on a tie or no evidence."""
        default = persistence(self.order)
        pairs = zip(self.zeros, self.ones, default, strict=True)
        return tuple(kept if zero == one else int(one > zero) for zero, one, kept in pairs)

    def __len__(self) -> int:
        return len(self.ones)

    def __iter__(self) -> Iterator[int]:
        return iter(self.table)

    def __contains__(self, bit: object) -> bool:
        return bit in self.table

    def dumps(self) -> str:
        """The table and its evidence as one JSON document."""
        document = {
            "format": _FORMAT,
            "order": self.order,
            "zeros": self.zeros,
            "ones": self.ones,
            "table": self.table,
        }
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str) -> Self:
        """The expectation that `dumps` wrote.

        Raises
        ------
        InputError
            where the document is not one, or its table does not follow from its evidence.
        """
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"expectation must be a JSON document: {error}") from error
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise InputError(f"expectation must be a JSON document of format {_FORMAT}")
        order = in_range("order", document.get("order", 0), ORDER_MIN, ORDER_MAX)
        found = cls(_counts(document, "zeros", order), _counts(document, "ones", order))
        if list(found.table) != document.get("table"):
            raise InputError("expectation's table does not follow from its zeros and ones")
        return found

    def save(self, path: Path) -> None:
        """Write `dumps` to a file."""
        path.write_text(self.dumps() + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that `save` wrote."""
        return cls.loads(path.read_text(encoding="utf-8"))


def _counts(document: dict[str, object], name: str, order: int) -> tuple[int, ...]:
    counts = document.get(name)
    if not isinstance(counts, list) or len(counts) != 1 << order:
        raise InputError(f"expectation's {name} must hold 2^order = {1 << order} counts")
    if not all(type(count) is int and count >= 0 for count in counts):
        raise InputError(f"expectation's {name} must hold integers from 0")
    return tuple(counts)


def fit(
    bits: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
    order: int = 1,
    segment_starts: ArrayLike | None = None,
) -> Expectation:
    """Count what follows each context of `order` bits; no context crosses a segment start."""
    order = in_range("order", order, ORDER_MIN, ORDER_MAX)
    stream = bitstream(bits, segment_starts)
    seen = np.zeros(2 << order, np.int64)
    for low in range(0, stream.length, _CHUNK):
        seen += _transitions(stream, order, low, min(stream.length, low + _CHUNK))
    return Expectation(tuple(seen[0::2].tolist()), tuple(seen[1::2].tolist()))


def _transitions(stream: Bitstream, order: int, low: int, high: int) -> NDArray[np.intp]:
    """How often each context with its next bit (least significant) ends in low … high − 1."""
    bits = stream.bits(low - order, high).astype(np.intp)
    codes = np.zeros(high - low, np.intp)
    for age in range(order + 1):
        codes |= bits[order - age : bits.size - age] << age
    positions = np.arange(low, high)
    begun = stream.starts[np.searchsorted(stream.starts, positions, side="right") - 1]
    return np.bincount(codes[positions - begun >= order], minlength=2 << order)
