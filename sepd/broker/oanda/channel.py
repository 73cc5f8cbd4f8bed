"""One account at the broker: reads that are understood, and writes whose outcome is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from sepd.broker.oanda import translate, wire
from sepd.broker.oanda.closings import Closings
from sepd.broker.oanda.limits import Urgency
from sepd.broker.oanda.outcome import outcome
from sepd.broker.oanda.rest import Rest
from sepd.domain.account import AccountEvent
from sepd.domain.market import Instrument
from sepd.domain.order import Ambiguous, Done, Outcome, Refused, Unsent
from sepd.errors import InputError, NotSent, OutcomeUnknown, TransientError

Parameters = Mapping[str, str | int | None]


class Channel:
    """An account's calls over a shared `Rest`.

    Attributes:
        instruments: what the account can trade, by name; prices are translated with them.
        closings: names for the transactions of trade closes.
    """

    def __init__(self, rest: Rest, account_id: str) -> None:
        self.rest = rest
        self.account_id = account_id
        self.instruments: dict[str, Instrument] = {}
        self.closings = Closings()

    def path(self, tail: str) -> str:
        """The address of something of the account."""
        return f"/v3/accounts/{self.account_id}{tail}"

    async def read[T](
        self,
        what: str,
        path: str,
        decoder: msgspec.json.Decoder[T],
        parameters: Parameters | None = None,
        *,
        bulk: bool = False,
    ) -> T:
        """GET `path`; parameters that are None are left out.

        Raises:
            TransientError, ConfigError, BrokerRejected: as for `Rest.read`.
        """
        given = {name: str(v) for name, v in (parameters or {}).items() if v is not None}
        return await self.rest.read(what, path, decoder, params=given, bulk=bulk)

    async def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        urgency: Urgency = Urgency.ENTRY,
        fence: Callable[[], str] = str,
    ) -> Outcome:
        """Send once; never raises for what became of it."""
        return await self.deliver(partial(self.rest.compose, method, path, body), urgency, fence)

    async def deliver(
        self, compose: Callable[[], bytes], urgency: Urgency, fence: Callable[[], str]
    ) -> Outcome:
        """Send what `compose` makes once; never raises for what became of it."""
        try:
            status, answer = await self.rest.write("order", compose, urgency, fence)
        except NotSent as error:
            return Unsent(str(error))
        except OutcomeUnknown as error:
            return Ambiguous(str(error))
        became = outcome(status, answer, self.instruments)
        if isinstance(became, Done | Refused):
            return replace(became, events=tuple(map(self.closings.named, became.events)))
        return became

    def event(self, row: wire.Transaction) -> AccountEvent:
        """A transaction row as an account event.

        Raises:
            InputError: a number, time or instrument in it cannot be.
        """
        return self.closings.named(translate.account_event(row, self.instruments))


@contextmanager
def understood(what: str) -> Iterator[None]:
    """An answer that cannot be true is asked for again, never half used."""
    try:
        yield
    except InputError as error:
        raise TransientError(f"{what}: {error}") from None
