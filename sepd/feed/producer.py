"""The prices of one instrument: their order, their sanity, and what is missing of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from msgspec import Struct

from sepd.domain.market import Candle, Gap, Granularity, Quote

_NEVER_NS = 1 << 62


class Verdict(IntEnum):
    """What to do with a quote."""

    DROP = 0
    TAKE = 1
    REPAIR = 2


class Missing(Struct, frozen=True):
    """Base candles to fetch: those that start in [from_ns, to_ns).

    `sure_ns` is the start of a candle that must be among them, because a quote was seen in it.
    """

    instrument: str
    from_ns: int
    to_ns: int
    sure_ns: int | None


class Producer:
    """One instrument of the price stream.

    Three stretches of time are unknown after an interruption: the rest of the candle in which
    it began, the candles in between, and the beginning of the candle in which it ended. The
    first two are fetched before the first quote after it. The third is fetched when its candle
    is over, before the first quote of the next one, so that no candle is ever built from a part
    of its quotes. A start in the middle of a candle is treated alike.

    Args:
        base: length of the candles that are fetched.
        since_ns: end of the newest candle that the consumer has; None if it has none.
        watched: the stream is a tape from its beginning: nothing is missing at the start, and a
            quote that repeats the one before it was recorded so.
    """

    def __init__(
        self, instrument: str, base: Granularity, since_ns: int | None = None, *, watched: bool
    ) -> None:
        self.instrument = instrument
        self.late = 0
        self.refused = 0
        self.gaps = 0
        self._base = base
        self._last: Quote | None = None
        self._watched = watched
        self._missing_ns = since_ns
        self._before_ns: int | None = None
        self._seen_ns: int | None = None
        self._broken = since_ns is not None
        self.due_ns = -1 if self._broken else _NEVER_NS

    @property
    def last_quote_ns(self) -> int | None:
        """Broker time of the newest quote taken, ns."""
        return self._last.time_ns if self._last else None

    @property
    def live(self) -> bool:
        """Whether no candle that is over is missing."""
        return not self._broken

    def interrupted(self, heard_ns: int = 0) -> None:
        """The stream broke: what came after its newest quote or heartbeat is unknown.

        Args:
            heard_ns: broker time of the newest heartbeat that was put.
        """
        if self._last is None or self._broken:
            return
        self._before_ns = self._missing_ns
        if self._missing_ns is None:
            self._missing_ns = self._base.floor(max(self._last.time_ns, heard_ns))
        self._broken = True
        self.due_ns = -1

    def judge(self, quote: Quote) -> Verdict:
        """What to do with `quote`; counted here if it is dropped."""
        if not 0 < quote.bid <= quote.ask:
            self.refused += 1
            return Verdict.DROP
        if self._last is None and not self._broken:
            self._begin(quote)
            return Verdict.TAKE
        if not self._news(quote):
            if quote == self._last and self._broken:
                # The newest price is the one we had, so nothing was missed since.
                self._mend(self._before_ns)
            self.late += 1
            return Verdict.DROP
        if quote.time_ns >= self.due_ns:
            return Verdict.REPAIR
        self._note(quote)
        return Verdict.TAKE

    def needs_repair(self, quote: Quote) -> bool:
        """Whether `quote` must wait for a repair."""
        return 0 < quote.bid <= quote.ask and self._news(quote) and quote.time_ns >= self.due_ns

    def _news(self, quote: Quote) -> bool:
        """Whether `quote` comes after the newest one; a tape may repeat itself."""
        last = self._last
        if last is None or quote.time_ns > last.time_ns:
            return True
        repeats = quote == last and (self._broken or not self._watched)
        return quote.time_ns == last.time_ns and not repeats

    def missing(self, time_ns: int) -> Missing | None:
        """What must be fetched before a quote or heartbeat of `time_ns`; None if nothing."""
        if time_ns < self.due_ns or self._missing_ns is None:
            return None
        sure = self._seen_ns is not None and self._seen_ns >= self._missing_ns
        sure_ns = self._seen_ns if sure else None
        return Missing(self.instrument, self._missing_ns, self._base.floor(time_ns), sure_ns)

    def repaired(
        self, missing: Missing, candles: Sequence[Candle], time_ns: int
    ) -> list[Candle | Gap]:
        """What to put in place of `missing` before a quote of `time_ns`."""
        payloads: list[Candle | Gap] = list(candles)
        sure_ns = missing.sure_ns
        inside = sure_ns is not None and sure_ns < missing.to_ns
        if sure_ns is not None and inside and all(c.time_ns != sure_ns for c in candles):
            self.gaps += 1
            payloads.insert(0, Gap(self.instrument, sure_ns, sure_ns + self._base.ns))
        self._mend(self._base.floor(time_ns) if self._broken else None)
        return payloads

    def given_up(self, missing: Missing, time_ns: int) -> list[Candle | Gap]:
        """What to put where the broker has no candles to give."""
        self.gaps += 1
        self._mend(None)
        return [Gap(self.instrument, missing.from_ns, max(time_ns, missing.from_ns + 1))]

    def _begin(self, quote: Quote) -> None:
        self._note(quote)
        if not self._watched:
            self._mend(self._base.floor(quote.time_ns))

    def _note(self, quote: Quote) -> None:
        """Candles are made of tradeable quotes; only those promise one."""
        self._last = quote
        if quote.tradeable:
            self._seen_ns = self._base.floor(quote.time_ns)

    def _mend(self, partial_ns: int | None) -> None:
        """Nothing is missing but, perhaps, the beginning of the candle at `partial_ns`."""
        self._broken = False
        self._missing_ns = partial_ns
        self.due_ns = _NEVER_NS if partial_ns is None else partial_ns + self._base.ns
