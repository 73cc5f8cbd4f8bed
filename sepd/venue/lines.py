"""PRICE and HEARTBEAT lines of the stream, encoded once and fast.

A line is put together from texts: prices and seconds repeat, so their texts are kept.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import compress

from sepd.domain.time import format_time
from sepd.venue.recording import Recording

_KEPT = 1 << 16


class LineEncoder:
    """Lines of `recording`'s rows; `liquidity` is the stated depth of every price."""

    def __init__(self, recording: Recording, liquidity: int) -> None:
        self._recording = recording
        self._depth = f'","liquidity":{liquidity}'
        self._digits = [item.display_precision for item in recording.instruments]
        self._prices: list[dict[int, str]] = [{} for _ in recording.names]
        self._tails = [
            f'","status":"tradeable","tradeable":true,"instrument":"{name}"}}\n'
            for name in recording.names
        ]
        self._second = -1
        self._second_text = ""

    def lines(self, start: int, stop: int, wanted: frozenset[str] | None = None) -> list[str]:
        """Lines of rows `start` to `stop`, each ended by a newline; `wanted` selects by name."""
        recording = self._recording
        encode = self._line
        columns = (recording.times, recording.which, recording.bids, recording.asks)
        rows = zip(*(column[start:stop].tolist() for column in columns), strict=True)
        if wanted is None:
            return [encode(*row) for row in rows]
        listed = [name in wanted for name in recording.names]
        chosen = [listed[number] for number in recording.which[start:stop].tolist()]
        return [encode(*row) for row in compress(rows, chosen)]

    def _line(self, time_ns: int, number: int, bid: int, ask: int) -> str:
        second, nanos = divmod(time_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._second_text = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
        prices = self._prices[number]
        bid_text = prices.get(bid) or self._price(number, bid)
        ask_text = prices.get(ask) or self._price(number, ask)
        depth = self._depth
        return (
            f'{{"type":"PRICE","time":"{self._second_text}.{nanos:09d}Z",'
            f'"bids":[{{"price":"{bid_text}{depth}}}],"asks":[{{"price":"{ask_text}{depth}}}],'
            f'"closeoutBid":"{bid_text}","closeoutAsk":"{ask_text}{self._tails[number]}'
        )

    def _price(self, number: int, points: int) -> str:
        known = self._prices[number]
        if len(known) > _KEPT:
            known.clear()
        digits = self._digits[number]
        padded = str(points).zfill(digits + 1)
        known[points] = f"{padded[:-digits]}.{padded[-digits:]}" if digits else padded
        return known[points]


def with_fields(line: str, fields: str) -> str:
    """`line` with JSON `fields` (`"a":1,"b":2`) added at its end."""
    return f"{line[:-2]},{fields}}}\n"


def heartbeat(time_ns: int, fields: str = "") -> str:
    """A HEARTBEAT line."""
    extra = f",{fields}" if fields else ""
    return f'{{"type":"HEARTBEAT","time":"{format_time(time_ns)}"{extra}}}\n'
