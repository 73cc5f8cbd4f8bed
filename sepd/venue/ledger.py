"""The account's transactions: consecutive ids from 1, grouped in batches."""

from __future__ import annotations

from typing import Any

from sepd.domain.time import format_time
from sepd.venue.config import VenueConfig

Row = dict[str, Any]


class Ledger:
    """Rows as the wire spells them; row `n` is at `rows[n - 1]`.

    The rows between two calls of `begin` form a batch named by the first of them.
    """

    def __init__(self, config: VenueConfig) -> None:
        self.rows: list[Row] = []
        self.times: list[int] = []
        self._config = config
        self._now_ns = 0
        self._batch: str | None = None
        self._request = ""

    @property
    def last_id(self) -> int:
        """Id of the newest row; 0 before the first."""
        return len(self.rows)

    def begin(self, now_ns: int, request_id: str = "") -> None:
        """Open a batch: what follows happens at once, at `now_ns`."""
        self._now_ns, self._request, self._batch = now_ns, request_id, None

    def append(self, kind: str, **fields: Any) -> Row:
        """Write a row of type `kind`; fields that are None are left out."""
        identifier = str(len(self.rows) + 1)
        self._batch = self._batch or identifier
        row: Row = {
            "id": identifier,
            "time": format_time(self._now_ns),
            "userID": self._config.user_id,
            "accountID": self._config.account_id,
            "batchID": self._batch,
            **({"requestID": self._request} if self._request else {}),
            "type": kind,
            **{key: value for key, value in fields.items() if value is not None},
        }
        self.rows.append(row)
        self.times.append(self._now_ns)
        return row

    def since(self, transaction_id: int) -> list[Row]:
        """Rows after `transaction_id`, oldest first."""
        return self.rows[max(transaction_id, 0) :]
