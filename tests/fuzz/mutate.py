"""Seeded damage to valid input: bytes, lines, fields."""

from __future__ import annotations

import random
from collections.abc import Callable

SPECIALS = (
    *(b"", b"nan", b"NaN", b"inf", b"-inf", b"null", b"-1.38676", b"+1.38676", b"0", b"0.0"),
    *(b"1e0", b"1_000", b" 1.38676", b"1.38676 ", b"0x1", b"1,38676", b"1.3.8", b".", b"-", b"--1"),
    *(
        b"9" * 20,
        b"9" * 5_000,
        b"1." + b"0" * 400,
        b"1.386761",
        "١.٣٨".encode(),
        b"\xff\xfe",
        b"\x00",
    ),
    *(
        b"2014-05-01T00:00:02Z",
        b"2014-02-30T00:00:00Z",
        b"9999-12-31T23:59:59Z",
        b"1969-12-31T00:00:00Z",
    ),
    *(b"2014-05-01T 0: 0:02Z", b"2014-05-01T00:00:02.1234567891Z", b"2014-05-01T24:00:00Z"),
    *(
        b"2014-05-01T00:00:60Z",
        b'"1.38676"',
        b"'",
        b"\\",
        b"=1+1",
        b"\xe2\x80\x8b1.38676",
        b"1.38676\r",
    ),
)
SEPARATORS = (b",", b";", b"\n", b"\r\n", b"\r", b"\t", b" ", b":", b".", b"\x00", b"\xef\xbb\xbf")
HUGE = b"7" * 70_000


def flip(rng: random.Random, data: bytearray) -> None:
    """Another value for one byte."""
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def insert(rng: random.Random, data: bytearray) -> None:
    """A special text, a separator or random bytes somewhere."""
    at = rng.randrange(len(data) + 1)
    kind = rng.random()
    if kind < 0.0005:
        data[at:at] = HUGE
    elif kind < 0.4:
        data[at:at] = rng.choice(SPECIALS)
    elif kind < 0.8:
        data[at:at] = rng.choice(SEPARATORS)
    else:
        data[at:at] = rng.randbytes(rng.randrange(1, 9))


def delete(rng: random.Random, data: bytearray) -> None:
    """A few bytes gone."""
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.randrange(1, 12)]


def truncate(rng: random.Random, data: bytearray) -> None:
    """The rest gone."""
    del data[rng.randrange(len(data) + 1) :]


def repeat_line(rng: random.Random, data: bytearray) -> None:
    """A line twice, perhaps elsewhere."""
    lines = data.split(b"\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    data[:] = b"\n".join(lines)


def swap_lines(rng: random.Random, data: bytearray) -> None:
    """Two lines exchanged."""
    lines = data.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    data[:] = b"\n".join(lines)


def replace_field(rng: random.Random, data: bytearray) -> None:
    """One field of one line replaced by a special text."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    fields = lines[at].split(b",")
    fields[rng.randrange(len(fields))] = bytearray(rng.choice(SPECIALS))
    lines[at] = bytearray(b",".join(fields))
    data[:] = b"\n".join(lines)


DAMAGES: tuple[Callable[[random.Random, bytearray], None], ...] = (
    flip,
    insert,
    delete,
    truncate,
    repeat_line,
    swap_lines,
    replace_field,
)


def mutated(rng: random.Random, valid: bytes) -> bytes:
    """`valid` with up to four kinds of damage, rarely none, rarely pure noise."""
    if rng.random() < 0.01:
        return rng.randbytes(rng.randrange(200))
    data = bytearray(valid)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 4))):
        rng.choice(DAMAGES)(rng, data)
    return bytes(data)
