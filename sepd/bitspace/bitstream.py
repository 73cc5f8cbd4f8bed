"""Packed bits with their segment starts: the input that every backend takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sepd.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Bitstream:
    """One batch of segments, laid end to end.

    words : uint64, bit t in word t // 64 at position t % 64
    length : number of bits
    starts : int64, ascending, the first position of each segment; starts[0] is 0
    """

    words: NDArray[np.uint64]
    length: int
    starts: NDArray[np.int64]

    def bits(self, low: int, high: int) -> NDArray[np.uint8]:
        """Bits low … high − 1, one per byte; positions before 0 read as 0."""
        first = max(low, 0) & ~7
        raw = self.words.view(np.uint8)[first >> 3 : (high + 7) >> 3]
        found = np.unpackbits(raw, bitorder="little")[max(low, 0) - first : high - first]
        return found if low >= 0 else np.concatenate((np.zeros(-low, np.uint8), found))


def pack(bits: NDArray[np.uint8] | NDArray[np.bool_]) -> NDArray[np.uint64]:
    """uint64 words of an array of 0/1, oldest bit least significant, padded with zeros."""
    octets = np.zeros((bits.size + 63) // 64 * 8, np.uint8)
    packed = np.packbits(bits, bitorder="little")
    octets[: packed.size] = packed
    return octets.view(np.uint64)


def unpack(words: NDArray[np.uint64], length: int) -> NDArray[np.uint8]:
    """The first `length` bits of packed words, one per byte."""
    return np.unpackbits(words.view(np.uint8), count=length, bitorder="little")


def bitstream(
    bits: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
    segment_starts: ArrayLike | None = None,
) -> Bitstream:
    """A checked batch from one array with `segment_starts`, or from a list of segments.

    Raises
    ------
    InputError
        naming the argument and what is legal.
    """
    if isinstance(bits, list | tuple):
        if segment_starts is not None:
            raise InputError("segment_starts must be None where bits is a list of segments")
        parts = [_checked_bits(part) for part in bits]
        sizes = accumulate((part.size for part in parts), initial=0)
        joined = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
        starts = np.fromiter(sizes, np.int64, len(parts) + 1)[: len(parts)]
        return Bitstream(pack(joined), joined.size, starts)
    array = _checked_bits(bits)
    return Bitstream(pack(array), array.size, checked_starts(segment_starts, array.size))


def _checked_bits(bits: object) -> NDArray[np.uint8]:
    if not isinstance(bits, np.ndarray) or bits.dtype not in (np.uint8, np.bool_):
        found = bits.dtype if isinstance(bits, np.ndarray) else type(bits).__name__
        raise InputError(f"bits must be a NumPy array of dtype uint8 (or bool), got {found}")
    if bits.ndim != 1:
        raise InputError(f"bits must have one dimension, got {bits.ndim}")
    if bits.size and bits.max() > 1:
        raise InputError(f"bits must hold only 0 and 1, got {bits.max()}")
    return bits.view(np.uint8)


def checked_starts(segment_starts: ArrayLike | None, length: int) -> NDArray[np.int64]:
    """Ascending positions 0 … length as int64; None means one segment."""
    if segment_starts is None:
        return np.zeros(1, np.int64)
    starts = np.asarray(segment_starts)
    if starts.ndim != 1 or starts.size == 0 or starts.dtype.kind not in "iu":
        raise InputError("segment_starts must be a non-empty one-dimensional array of integers")
    starts = starts.astype(np.int64)
    if starts[0] != 0:
        raise InputError(f"segment_starts must begin with 0, got {starts[0]}")
    if starts[-1] > length or np.any(starts[1:] < starts[:-1]):
        raise InputError(f"segment_starts must ascend within 0…{length}, the number of bits")
    return starts
