"""Causal candles: quotes become base candles, base candles become coarser ones.

A candle is handed out once its end has passed, only if all of it was watched, and never
revised by a quote. A period without a quote gives no candle. Periods are aligned to UTC.
"""

from __future__ import annotations

from collections.abc import Sequence

from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.market.coarse import CoarseCandles
from sepd.market.coverage import Coverage

_NONE: tuple[Candle, ...] = ()


class CandleBuilder:
    """Candles of one instrument in several lengths.

    Args:
        instrument: what is quoted.
        base: the length built from quotes.
        granularities: lengths built from base candles, multiples of it; the base may be among
            them and is handed out in any case.
        complete_from_ns: since when every quote has been seen; None takes the first quote's
            time, so that a candle in which watching began is never handed out.

    Attributes:
        late: quotes dropped because a later one, or the end of their candle, had been seen.
        untradeable: quotes dropped because nobody could trade on them.

    Raises:
        InputError: a granularity is not a multiple of the base.
    """

    __slots__ = (
        "_ask",
        "_ask_high",
        "_ask_low",
        "_ask_open",
        "_base",
        "_base_ns",
        "_bid",
        "_bid_high",
        "_bid_low",
        "_bid_open",
        "_coarse",
        "_count",
        "_coverage",
        "_end_ns",
        "_low_ns",
        "_name",
        "_watching",
        "late",
        "untradeable",
    )

    def __init__(
        self,
        instrument: Instrument,
        base: Granularity,
        granularities: Sequence[Granularity],
        complete_from_ns: int | None = None,
    ) -> None:
        self._name = instrument.name
        self._base = base
        self._base_ns = base.ns
        self._coverage = Coverage()
        self._coarse = CoarseCandles(base, granularities, self._coverage)
        self._watching = complete_from_ns is not None
        if complete_from_ns is not None:
            self._coverage.cover(complete_from_ns)
        self._low_ns = self._end_ns = 0
        self._count = self._bid = self._ask = 0
        self._bid_open = self._bid_high = self._bid_low = 0
        self._ask_open = self._ask_high = self._ask_low = 0
        self.late = self.untradeable = 0

    def add(self, quote: Quote) -> Sequence[Candle]:
        """Take a quote; returns the candles whose end its arrival shows, finest first."""
        time_ns = quote.time_ns
        if not (self._low_ns <= time_ns < self._end_ns and quote.tradeable and self._count):
            return self._turn(quote)
        self._low_ns = time_ns
        self._count += 1
        self._bid = bid = quote.bid
        self._ask = ask = quote.ask
        if bid > self._bid_high:
            self._bid_high = bid
        elif bid < self._bid_low:
            self._bid_low = bid
        if ask > self._ask_high:
            self._ask_high = ask
        elif ask < self._ask_low:
            self._ask_low = ask
        return _NONE

    def advance(self, time_ns: int) -> Sequence[Candle]:
        """Broker time has reached `time_ns`; returns the candles that end by then."""
        if time_ns < self._end_ns:
            return _NONE
        start_ns = time_ns - time_ns % self._base_ns
        done = self._close_base()
        self._low_ns = max(self._low_ns, start_ns)
        self._end_ns = start_ns + self._base_ns
        return [*done, *self._coarse.close(start_ns)]

    def gap(self, from_ns: int, to_ns: int) -> None:
        """Quotes in [from_ns, to_ns) were missed: candles that overlap it are incomplete."""
        self._coverage.lose(from_ns, to_ns)

    def preload(
        self, candles: Sequence[Candle], from_ns: int | None = None, to_ns: int | None = None
    ) -> Sequence[Candle]:
        """Take complete base candles from the broker or the store: history, or a repair.

        They win over quotes, and their stretch of time counts as watched. Base candles that
        are not of this instrument and base are refused.

        Args:
            candles: oldest first.
            from_ns, to_ns: the stretch that they are all the candles of; None takes the first
                one's start and the last one's end.

        Returns:
            what is complete by them and was not handed out before: a candle of quotes that they
            show to be over, and coarser candles; not the given ones.

        Raises:
            ValueError: a candle of another instrument or length, or out of order.
        """
        self._check(candles)
        if not candles and (from_ns is None or to_ns is None):
            return _NONE
        first = candles[0].time_ns if from_ns is None else from_ns
        last = candles[-1].end_ns if to_ns is None else to_ns
        self._coverage.cover(first, last)
        done: list[Candle] = []
        for candle in candles:
            if candle.end_ns > self._low_ns:
                done += self._skip_to(candle)
            self._coarse.put(candle)
        done += self.advance(last)
        return [*done, *self._coarse.repaired(first, last, self._end_ns - self._base_ns)]

    def take(self, candle: Candle) -> Sequence[Candle]:
        """Take one complete base candle of the broker, as it comes after an interruption.

        Returns:
            the candle with all that is complete by it, in the order of their ends, finest
            first; nothing if a candle of that start was handed out before.
        """
        if self.base_candle(candle.time_ns) is not None:
            return _NONE
        done = self.preload([candle])
        before = [one for one in done if one.end_ns <= candle.time_ns]
        return [*before, candle, *(one for one in done if one.end_ns > candle.time_ns)]

    def base_candle(self, time_ns: int) -> Candle | None:
        """The complete base candle that starts at `time_ns`, while it is kept."""
        return self._coarse.base_candle(time_ns)

    def correct(self, candle: Candle) -> Sequence[Candle]:
        """Put the broker's own complete base candle in place of ours.

        Returns:
            coarser candles, handed out before, as they are with it.
        """
        self._check([candle])
        return self._coarse.revised(candle)

    def _turn(self, quote: Quote) -> Sequence[Candle]:
        """A quote that is not simply the next one of the open candle."""
        if not quote.tradeable:
            self.untradeable += 1
            return _NONE
        if quote.time_ns < self._low_ns:
            self.late += 1
            return _NONE
        if not self._watching:
            self._watching = True
            self._coverage.cover(quote.time_ns)
        done = self.advance(quote.time_ns)
        self._low_ns = quote.time_ns
        self._count = 1
        self._bid = self._bid_open = self._bid_high = self._bid_low = quote.bid
        self._ask = self._ask_open = self._ask_high = self._ask_low = quote.ask
        return done

    def _close_base(self) -> Sequence[Candle]:
        count, self._count = self._count, 0
        start_ns = self._end_ns - self._base_ns
        if not count or not self._coverage.holds(start_ns, self._end_ns):
            return _NONE
        candle = Candle(
            self._name,
            self._base,
            start_ns,
            self._bid_open,
            self._bid_high,
            self._bid_low,
            self._bid,
            self._ask_open,
            self._ask_high,
            self._ask_low,
            self._ask,
            count,
        )
        self._coarse.put(candle)
        return (candle,)

    def _skip_to(self, candle: Candle) -> Sequence[Candle]:
        """Move past a preloaded candle; a candle open from quotes in its place is dropped.

        So is one that is open before it: nothing says that its last quotes were seen.
        """
        if self._count and self._end_ns <= candle.time_ns:
            self._coverage.lose(self._end_ns - self._base_ns, self._end_ns)
        self._count = 0
        done = self.advance(candle.time_ns)
        self._low_ns = self._end_ns = candle.end_ns
        return done

    def _check(self, candles: Sequence[Candle]) -> None:
        last_ns = -1
        for candle in candles:
            if (candle.instrument, candle.granularity) != (self._name, self._base):
                raise ValueError(
                    f"{candle.instrument} {candle.granularity} given to {self._name} {self._base}"
                )
            if candle.time_ns <= last_ns or candle.time_ns % self._base_ns:
                raise ValueError(f"candles out of order at {candle.time_ns}")
            last_ns = candle.time_ns
