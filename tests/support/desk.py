"""A venue account on hand-written quotes of EUR/USD."""

from __future__ import annotations

from sepd.domain.market import Instrument, Quote
from sepd.venue.config import VenueConfig
from sepd.venue.engine import Engine
from sepd.venue.orders import Outcome
from sepd.venue.requests import parse_order

EUR_USD = Instrument("EUR_USD")
SECOND = 1_000_000_000


class Desk:
    """An engine with short words for quotes and orders."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.account = engine.account
        self.time_ns = engine.account.now_ns

    def quote(
        self, bid: int, ask: int, instrument: str = "EUR_USD", tradeable: bool = True
    ) -> None:
        """Quote a second later, in points."""
        self.time_ns += SECOND
        self.engine.on_quote(Quote(instrument, self.time_ns, bid, ask, tradeable))

    def order(self, units: str = "1000", kind: str = "MARKET", **fields: object) -> Outcome:
        """Place an entry order on EUR/USD."""
        body = {"type": kind, "instrument": "EUR_USD", "units": units, **fields}
        return self.engine.place(parse_order({"order": body}))

    def place(self, **fields: object) -> Outcome:
        """Place an order with just these fields."""
        return self.engine.place(parse_order({"order": fields}))

    def rows(self, since: int = 0) -> list[tuple[str, str]]:
        """Type and reason of the transactions after `since`."""
        return [
            (row["type"], row.get("rejectReason") or row.get("reason", ""))
            for row in self.account.ledger.since(since)
        ]


def make_desk(config: VenueConfig | None = None, *instruments: Instrument) -> Desk:
    """A desk whose first quote of EUR/USD is 1.10000 / 1.10010."""
    desk = Desk(Engine((EUR_USD, *instruments), config, now_ns=1_400_000_000 * SECOND))
    desk.quote(110_000, 110_010)
    return desk
