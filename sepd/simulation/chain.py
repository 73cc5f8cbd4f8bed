"""The audit log as it grows: every change leaves one row, chained to the one before.

The hash is computed here anew, from its definition in the migrations: SHA-256 over the hash
before, sequence and time as big-endian 64-bit integers, the SHA-256 of account and of kind, and
the body.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from hashlib import sha256

from sepd.simulation.store import Content
from sepd.storage.audit import AuditRow


class Chain:
    """Reads new rows; `finish` looks at all of them once more.

    Args:
        violated: told rule and sentence.
    """

    def __init__(self, content: Content, violated: Callable[[str, str], None]) -> None:
        self._content = content
        self._violated = violated
        self._rows: list[AuditRow] = []
        self._kinds: Counter[str] = Counter()
        self._head = sha256(b"sepd").digest()

    def step(self) -> None:
        """Look at rows that are new."""
        written = self._content.audit
        if len(written) == len(self._rows):
            return
        for row in written[len(self._rows) :]:
            self._read(row)
        if self._kinds != self._content.changes:
            self._wrong(f"rows of {dict(self._kinds)} for {dict(self._content.changes)}")

    def finish(self) -> None:
        """No row has been altered or taken away since it was read, and none was left out."""
        if self._content.audit != self._rows:
            self._wrong("rows that were read are altered or gone")
        if self._kinds != self._content.changes:
            self._wrong(f"rows of {dict(self._kinds)} for {dict(self._content.changes)}")

    def _read(self, row: AuditRow) -> None:
        self._rows.append(row)
        self._kinds[row.kind] += 1
        names = sha256(row.account_id.encode()).digest() + sha256(row.kind.encode()).digest()
        numbers = struct.pack(">qq", row.sequence, row.time_ns)
        head = sha256(self._head + numbers + names + row.body).digest()
        if row.sequence != len(self._rows):
            self._wrong(f"row {row.sequence} stands at place {len(self._rows)}")
        if row.hash != head:
            self._wrong(f"row {row.sequence} is not chained to the one before it")
        if row.kind == "intent":
            self._check_intent(row)
        self._head = row.hash

    def _check_intent(self, row: AuditRow) -> None:
        """The row holds the intent that was committed with it, and what the gate saw."""
        number = self._kinds["intent"] - 1
        intent, snapshot = list(self._content.intents.values())[number]
        if intent.id.encode() not in row.body or not row.body.endswith(snapshot):
            self._wrong(f"row {row.sequence} does not hold the intent {intent.id}")

    def _wrong(self, what: str) -> None:
        self._violated("audit_chain", what)
