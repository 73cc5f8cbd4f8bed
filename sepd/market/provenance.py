"""Where recorded prices come from, and the hashes that show an altered row.

Every row has a SHA-256 digest of its integers; a segment's head is the SHA-256 of its row
digests; a dataset's chain links the heads: link_i = SHA-256(link_{i-1} + head_i), from 32 zero
bytes. The first bytes of each row's digest are kept, so that an altered row can be named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from msgspec import Struct

from sepd.errors import ConfigError

KEPT_BYTES = 8
_ORIGIN = bytes(32)


class Origin(Struct, frozen=True, forbid_unknown_fields=True):
    """Who said these prices.

    `source` is `oanda` for prices that the broker's API gave, `import` for a file. `environment`
    is the broker's (practice or live), empty for a file. `request` says what was asked of the
    broker, or which file was read: its name, its SHA-256 and any stated spread.
    """

    source: str
    environment: str = ""
    request: str = ""


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """One answer: everything its origin had in [from_ns, to_ns), and when it was taken."""

    from_ns: int
    to_ns: int
    taken_ns: int
    origin: Origin


class SegmentSummary(Struct, frozen=True, forbid_unknown_fields=True):
    """A segment as the manifest lists it."""

    start_ns: int
    rows: int
    head: str
    link: str
    parts: tuple[Part, ...]


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What a dataset is and where all of it comes from.

    `granularity` is empty for ticks. `chain` is the last link; it names the dataset.
    """

    instrument: str
    granularity: str
    display_precision: int
    rows: int
    first_ns: int
    last_ns: int
    chain: str
    segments: tuple[SegmentSummary, ...]

    @property
    def dataset_id(self) -> str:
        """Short name that changes with any row."""
        return f"{self.instrument}.{self.granularity or 'tick'}@{self.chain[:16]}"

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that contributed, each once."""
        return tuple(sorted({part.origin.source for one in self.segments for part in one.parts}))


def require_broker(manifest: Manifest, environment: str) -> None:
    """Live trading accepts only what this very broker environment said.

    Raises:
        ConfigError: some part of the data has another origin.
    """
    for segment in manifest.segments:
        for part in segment.parts:
            origin = part.origin
            if (origin.source, origin.environment) != ("oanda", environment):
                raise ConfigError(
                    f"{manifest.dataset_id} contains prices of {origin.source} "
                    f"{origin.environment or origin.request}; live trading needs OANDA "
                    f"{environment} data only: run sepd data download into an empty data_dir."
                )


def row_digests(rows: bytes, width: int) -> list[bytes]:
    """SHA-256 of each row; `rows` holds rows of `width` bytes one after another."""
    sha256 = hashlib.sha256
    return [sha256(rows[at : at + width]).digest() for at in range(0, len(rows), width)]


def segment_head(digests: Iterable[bytes]) -> bytes:
    """The hash that stands for all rows of a segment."""
    return hashlib.sha256(b"".join(digests)).digest()


def chained(heads: Iterable[bytes]) -> list[bytes]:
    """The links of a chain of segment heads, in order."""
    links, link = [], _ORIGIN
    for head in heads:
        link = hashlib.sha256(link + head).digest()
        links.append(link)
    return links


def kept(digests: Iterable[bytes]) -> bytes:
    """The kept bytes of each digest, one after another."""
    return b"".join(digest[:KEPT_BYTES] for digest in digests)


def altered_rows(rows: bytes, width: int, kept_digests: bytes) -> list[int]:
    """Places of the rows that do not have the digest kept for them."""
    return [
        place
        for place, digest in enumerate(row_digests(rows, width))
        if kept_digests[place * KEPT_BYTES : (place + 1) * KEPT_BYTES] != digest[:KEPT_BYTES]
    ]
