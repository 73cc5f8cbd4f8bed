"""A book with quotes whose conversions come out round, for tests of the gate.

Home is GBP: one USD is 0.8 GBP, one EUR 0.88 GBP, one CHF is 0.8 GBP, exactly and on both sides.
"""

from __future__ import annotations

from decimal import Decimal

from sepd.domain.account import AccountSnapshot, OpenTrade
from sepd.domain.market import Instrument
from sepd.ports import StoredState
from sepd.risk.book import Book
from sepd.risk.gate import Accepted, assess
from sepd.risk.reason import Reason
from sepd.risk.situation import EntryRequest
from sepd.settings import RiskSettings
from tests.support.trading import NOON, PAIRS, S, make_signal, quote

GBP_CHF = Instrument("GBP_CHF")
INSTRUMENTS = {**PAIRS, "GBP_CHF": GBP_CHF}
OPEN = {
    "conversion_markup": Decimal(0),
    "risk_per_trade": Decimal("0.01"),
    "price_bound_pips": Decimal(10),
    "stop_pips": Decimal(30),
    "target_pips": Decimal(45),
    "max_units": Decimal(10_000_000),
    "max_notional": Decimal(10_000_000),
    "max_gross_leverage": Decimal(1000),
    "max_net_leverage": Decimal(1000),
    "max_currency_leverage": Decimal(1000),
    "max_margin_use": Decimal(1),
    "max_positions": 100,
    "max_positions_per_instrument": 100,
    "max_correlated": 100,
    "max_daily_loss": Decimal(1),
    "max_drawdown": Decimal(1),
}


def limits(**changes: object) -> RiskSettings:
    """Limits that bind nowhere but where a test says so."""
    return RiskSettings.model_validate(OPEN | changes)


def account(balance: Decimal, trades: tuple[OpenTrade, ...] = ()) -> AccountSnapshot:
    """The account at transaction 10."""
    return AccountSnapshot(
        account_id="001-011-5838423-001",
        currency="GBP",
        balance=balance,
        nav=balance,
        margin_used=Decimal(0),
        margin_available=balance,
        last_transaction_id=10,
        trades=trades,
    )


def held(
    instrument: str = "EUR_USD", units: int = 1_000, number: int = 5, price: int = 110_000
) -> OpenTrade:
    """An open trade with a stop 300 points away."""
    stop = price - 300 if units > 0 else price + 300
    return OpenTrade(number, instrument, Decimal(units), price, NOON, stop_loss=stop)


def make_book(
    *trades: OpenTrade,
    balance: int = 100_000,
    rules: RiskSettings | None = None,
    quoted_ns: int = NOON,
) -> Book:
    """A reconciled book in GBP with fresh quotes."""
    book = Book("GBP", INSTRUMENTS, rules or limits())
    book.restore(account(Decimal(balance), trades), StoredState(10), NOON)
    book.ready = True
    book.observe(quote("EUR_USD", 109_990, 110_000, quoted_ns))
    book.observe(quote("GBP_USD", 125_000, 125_000, quoted_ns))
    book.observe(quote("EUR_GBP", 88_000, 88_000, quoted_ns))
    book.observe(quote("USD_CHF", 100_000, 100_000, quoted_ns))
    book.observe(quote("GBP_CHF", 125_000, 125_000, quoted_ns))
    return book


def request(**changes: object) -> EntryRequest:
    """A buy of EUR_USD at noon; `units` and the other fields of a request may be given."""
    fields: dict[str, object] = {"signal": make_signal(), "now_ns": NOON} | changes
    return EntryRequest(**fields)  # type: ignore[arg-type]


def verdict(book: Book, rules: RiskSettings | None = None, **changes: object) -> Reason:
    """What the gate says to a buy of EUR_USD."""
    answer = assess(request(**changes), book, rules or book.limits)
    return Reason.ACCEPTED if isinstance(answer, Accepted) else answer.reason


def seconds(value: str) -> int:
    """Nanoseconds of a decimal number of seconds."""
    return int(Decimal(value) * S)
