"""Instruments, granularities, quotes, candles, and the events that carry them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from functools import cache

from msgspec import Struct

from sepd.domain.time import NS_PER_S
from sepd.errors import InputError


class Granularity(StrEnum):
    """Candle lengths, in the broker's spelling."""

    S5 = "S5"
    S10 = "S10"
    S15 = "S15"
    S30 = "S30"
    M1 = "M1"
    M2 = "M2"
    M4 = "M4"
    M5 = "M5"
    M10 = "M10"
    M15 = "M15"
    M30 = "M30"
    H1 = "H1"
    H2 = "H2"
    H3 = "H3"
    H4 = "H4"
    H6 = "H6"
    H8 = "H8"
    H12 = "H12"
    D = "D"
    W = "W"

    @property
    def seconds(self) -> int:
        """Length in seconds; a week is seven days."""
        return _SECONDS[self]

    @property
    def ns(self) -> int:
        """Length in nanoseconds."""
        return _NS[self]

    def floor(self, time_ns: int) -> int:
        """Start of the UTC-aligned candle that contains `time_ns`."""
        return time_ns - time_ns % self.ns


def _seconds(name: str) -> int:
    fixed = {"D": 86_400, "W": 604_800}
    scale = {"S": 1, "M": 60, "H": 3_600}
    return fixed.get(name) or scale[name[0]] * int(name[1:])


_SECONDS = {one: _seconds(one.value) for one in Granularity}
_NS = {one: seconds * NS_PER_S for one, seconds in _SECONDS.items()}


@cache
def _power_of_ten(exponent: int) -> Decimal:
    return Decimal(1).scaleb(exponent)


class Instrument(Struct, frozen=True):
    """What the broker says about a tradable pair.

    `pip_location` and `display_precision` follow OANDA: a pip is 10^pip_location, a point
    10^-display_precision.
    """

    name: str
    display_precision: int = 5
    pip_location: int = -4
    trade_units_precision: int = 0
    minimum_trade_size: Decimal = Decimal(1)
    maximum_order_units: Decimal = Decimal(100_000_000)
    maximum_position_size: Decimal = Decimal(0)
    margin_rate: Decimal = Decimal("0.02")

    @property
    def base(self) -> str:
        """Currency that the units count: EUR of EUR_USD."""
        return self.name.partition("_")[0]

    @property
    def quote(self) -> str:
        """Currency that the price counts: USD of EUR_USD."""
        return self.name.partition("_")[2]

    @property
    def point(self) -> Decimal:
        """Value of one point in the quote currency."""
        return _power_of_ten(-self.display_precision)

    @property
    def unit_step(self) -> Decimal:
        """Smallest difference of two sizes that the broker takes."""
        return _power_of_ten(-self.trade_units_precision)

    @property
    def points_per_pip(self) -> int:
        """Points in one pip: 10 for EUR_USD at five decimals."""
        return int(_power_of_ten(self.display_precision + self.pip_location))

    def to_points(self, price: Decimal) -> int:
        """Exact points of a decimal price.

        Raises:
            InputError: the price has more decimals than the instrument.
        """
        points = price.scaleb(self.display_precision)
        if points != points.to_integral_value():
            raise InputError(
                f"{self.name} price {price} has more than {self.display_precision} decimals."
            )
        return int(points)

    def nearest_points(self, price: Decimal) -> int:
        """Points of an average price, which may have more decimals than the instrument quotes."""
        return int(price.scaleb(self.display_precision).to_integral_value(ROUND_HALF_EVEN))

    def to_price(self, points: int) -> Decimal:
        """Decimal price of a number of points, with all the instrument's decimals."""
        return Decimal(points).scaleb(-self.display_precision)

    def price_text(self, points: int) -> str:
        """`to_price` written out, without a Decimal: every order says three prices."""
        if not self.display_precision:
            return str(points)
        digits = str(points).zfill(self.display_precision + 1 + (points < 0))
        return f"{digits[: -self.display_precision]}.{digits[-self.display_precision :]}"


_MOST_DIGITS = 40


def parse_points(text: str, precision: int) -> int:
    """Points of a decimal price text, exactly and without going through Decimal.

    Raises:
        InputError: not a plain decimal number, or it has more decimals than `precision`.
    """
    whole, _, fraction = text.partition(".")
    if len(fraction) > precision:
        fraction = fraction[:precision] + fraction[precision:].rstrip("0")
    digits = whole + fraction.ljust(precision, "0")
    plain = whole and digits.isdecimal() and digits.isascii() and len(digits) <= _MOST_DIGITS
    if not plain or len(fraction) > precision:
        raise InputError(f"{text[:40]!r} is not a price with at most {precision} decimals.")
    return int(digits)


class Quote(Struct, frozen=True, gc=False, tag=True):
    """Best bid and ask at a broker instant, in points."""

    instrument: str
    time_ns: int
    bid: int
    ask: int
    tradeable: bool = True

    @property
    def mid2(self) -> int:
        """Bid + ask: the mid price in half-points, so that nothing is rounded."""
        return self.bid + self.ask

    @property
    def spread(self) -> int:
        """Ask − bid, points."""
        return self.ask - self.bid


class Candle(Struct, frozen=True, gc=False, tag=True):
    """A complete candle of bid and ask, in points; `time_ns` is its start.

    `volume` counts the quotes seen; 0 where the source did not record them.
    """

    instrument: str
    granularity: Granularity
    time_ns: int
    bid_open: int
    bid_high: int
    bid_low: int
    bid_close: int
    ask_open: int
    ask_high: int
    ask_low: int
    ask_close: int
    volume: int = 0

    @property
    def end_ns(self) -> int:
        """First instant after the candle."""
        return self.time_ns + self.granularity.ns

    @property
    def close2(self) -> int:
        """Bid + ask of the close: half-points."""
        return self.bid_close + self.ask_close


class Heartbeat(Struct, frozen=True, gc=False, tag=True):
    """The price stream lives; broker time, ns."""

    time_ns: int


class Gap(Struct, frozen=True, gc=False, tag=True):
    """Prices of `instrument` between two broker instants were missed and not repaired.

    Bit segments end here, and no candle that overlaps the gap is ever complete.
    """

    instrument: str
    from_ns: int
    to_ns: int
