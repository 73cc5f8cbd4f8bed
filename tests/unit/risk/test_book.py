"""The book follows the account, event by event, each once."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from sepd.domain.account import (
    BalanceChanged,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OtherTransaction,
    TradeOpen,
    TradeReduce,
)
from sepd.domain.ids import OURS
from sepd.ports import DayLedger, StoredState
from sepd.risk.book import Book
from sepd.risk.exposure import Valuation
from sepd.risk.reason import Reason
from tests.support.gate import account, held, limits, make_book, verdict
from tests.support.trading import NOON, S, make_entry, make_signal, quote

DAY = 86_400 * S
ZERO = Decimal(0)


def fill(
    number: int,
    *,
    units: int = 0,
    name: str = "",
    opened: int | None = None,
    closed: tuple[TradeReduce, ...] = (),
    reduced: TradeReduce | None = None,
    balance: str = "100000",
    time_ns: int = NOON,
) -> OrderFilled:
    """A fill of EUR_USD at 1.10000."""
    return OrderFilled(
        transaction_id=number,
        time_ns=time_ns,
        order_id=number - 1,
        instrument="EUR_USD",
        units=Decimal(units),
        price=110_000,
        reason="MARKET_ORDER",
        pl=sum((part.realized_pl for part in (*closed, *filter(None, [reduced]))), ZERO),
        financing=ZERO,
        commission=ZERO,
        balance=Decimal(balance),
        client_order_id=name,
        opened=TradeOpen(opened, Decimal(units), 110_000, name or f"{OURS}{opened}")
        if opened
        else None,
        closed=closed,
        reduced=reduced,
    )


def leave(trade_id: int, units: int, result: str) -> TradeReduce:
    return TradeReduce(trade_id, Decimal(units), 110_100, Decimal(result))


def test_a_fill_turns_the_intent_into_a_protected_trade() -> None:
    book = make_book()
    intent = make_entry(make_signal(), units=1_000)
    book.reserve(intent)
    assert book.apply(fill(12, units=1_000, name=intent.id, opened=12))
    assert not book.pending
    assert book.trades[12].stop_loss == intent.stop_loss
    assert book.trades[12].client_trade_id == intent.id


def test_a_transaction_counts_once() -> None:
    book = make_book()
    event = fill(12, units=1_000, opened=12)
    assert book.apply(event)
    assert not book.apply(event)
    assert not book.apply(OtherTransaction(11, NOON, "CLIENT_CONFIGURE"))
    assert len(book.filled_ns["EUR_USD"]) == 1


def test_what_is_left_of_a_partly_filled_intent_stays_exposure() -> None:
    book = make_book()
    intent = make_entry(make_signal(), units=1_000)
    book.reserve(intent)
    book.apply(fill(12, units=400, name=intent.id, opened=12))
    assert book.pending[intent.id].units == 600
    book.apply(OrderCancelled(13, NOON, 11, "INSUFFICIENT_LIQUIDITY", intent.id))
    assert not book.pending
    assert book.trades[12].units == 400


def test_a_rejected_or_cancelled_intent_is_no_exposure() -> None:
    book = make_book()
    one, other = make_entry(make_signal(1)), make_entry(make_signal(2))
    book.reserve(one)
    book.reserve(other)
    book.apply(OrderRejected(11, NOON, "MARKET_ORDER_REJECT", "INSUFFICIENT_MARGIN", one.id))
    book.apply(OrderCancelled(13, NOON, 12, "MARKET_HALTED", other.id))
    assert not book.pending


def test_reducing_and_closing_trades() -> None:
    book = make_book(held(units=1_000, number=5), held(units=500, number=6))
    part = leave(5, -300, "0.30")
    book.apply(fill(12, units=-300, reduced=part, balance="100000.30"))
    assert book.trades[5].units == 700
    parts = (leave(5, -700, "0.70"), leave(6, -500, "0.50"))
    book.apply(fill(14, units=-1_200, closed=parts, balance="100001.50"))
    assert not book.trades
    assert book.day(NOON).realized_pl == Decimal("1.50")


def test_losses_in_a_row_are_counted_until_a_gain() -> None:
    trades = [held(number=number) for number in range(1, 5)]
    book = make_book(*trades)
    for number, result in enumerate(("-1", "-1", "0", "-1"), start=1):
        book.apply(fill(10 + number, closed=(leave(number, -1_000, result),)))
    assert (book.loss_streak, book.last_loss_ns) == (3, NOON)
    book.apply(fill(20, opened=20, units=1_000))
    book.apply(fill(22, closed=(leave(20, -1_000, "0.01"),)))
    assert book.loss_streak == 0


def test_the_stop_of_a_trade_is_followed() -> None:
    book = make_book(held(number=5))
    stops = []
    for event in (
        OrderAccepted(11, NOON, "STOP_LOSS", "REPLACEMENT", price=109_800, trade_id=5),
        OrderCancelled(12, NOON, 11, "CLIENT_REQUEST_REPLACED"),
        OrderAccepted(13, NOON, "STOP_LOSS", "REPLACEMENT", price=109_900, trade_id=5),
    ):
        book.apply(event)
        stops.append(book.trades[5].stop_loss)
    assert stops == [109_800, None, 109_900]


def test_a_stop_that_names_its_trade_alone_protects_it_at_its_price() -> None:
    book = make_book(held(number=5))
    row = OrderAccepted(11, NOON, "STOP_LOSS", "ON_FILL", trade_id=5, level=Decimal("1.09800"))
    assert book.apply(row)
    assert book.trades[5].stop_loss == 109_800


def test_results_belong_to_the_day_on_which_they_are_booked() -> None:
    book = make_book(held(number=5), held(number=6))
    book.apply(fill(12, closed=(leave(5, -1_000, "-500"),), balance="99500"))
    assert book.day(NOON).realized_pl == -500
    tomorrow = book.day(NOON + DAY)
    assert (tomorrow.opening_balance, tomorrow.realized_pl) == (Decimal(99_500), ZERO)
    later = fill(14, closed=(leave(6, -1_000, "-100"),), balance="99400", time_ns=NOON + DAY)
    book.apply(later)
    assert book.day(NOON + DAY).realized_pl == -100
    assert book.day(NOON + DAY).opening_balance == Decimal(99_500)
    assert book.day(NOON + DAY).high_water == Decimal(100_000)


def test_money_moved_by_its_owner_is_no_result() -> None:
    book = make_book()
    book.apply(BalanceChanged(11, NOON, "TRANSFER_FUNDS", Decimal(-40_000), Decimal(60_000)))
    day = book.day(NOON)
    assert (day.realized_pl, day.opening_balance) == (ZERO, Decimal(60_000))
    assert day.high_water == Decimal(60_000)
    assert verdict(book, limits(max_drawdown="0.2", max_daily_loss="0.2")) is Reason.ACCEPTED


def test_financing_is_a_result() -> None:
    book = make_book()
    book.apply(BalanceChanged(11, NOON, "DAILY_FINANCING", Decimal("-1.5"), Decimal("99998.5")))
    assert book.day(NOON).realized_pl == Decimal("-1.5")


def test_a_restart_forgets_neither_the_days_loss_nor_the_high_water_mark() -> None:
    stored = DayLedger("2017-03-15", Decimal(100_000), Decimal(-2_900), Decimal(110_000))
    book = Book("GBP", make_book().instruments)
    book.restore(account(Decimal(97_100)), StoredState(10, day=stored, killed="drawdown"), NOON)
    assert book.day(NOON) == stored
    assert book.day(NOON + DAY).high_water == Decimal(110_000)
    assert book.killed == "drawdown"


def test_older_quotes_are_ignored() -> None:
    book = make_book()
    book.observe(quote("EUR_USD", 1, 2, NOON - 1))
    assert book.quotes["EUR_USD"].ask == 110_000


def test_too_many_fills_of_a_pair_in_an_hour_latch_it_off() -> None:
    book = make_book(rules=limits(max_fills_per_hour=3))
    for number in range(3):
        book.apply(fill(11 + number, opened=11 + number, units=1, time_ns=NOON + number))
    stopped = replace(book.trades[11], stop_loss=109_000)
    book.trades = dict.fromkeys(book.trades, stopped)
    assert verdict(book) is Reason.ACCEPTED
    book.apply(fill(14, opened=14, units=1, time_ns=NOON + 3_600 * S - 1))
    book.trades.clear()
    assert verdict(book) is Reason.REPEATED_EXECUTION
    assert verdict(book, signal=make_signal(instrument="USD_CHF")) is Reason.ACCEPTED


def test_fills_that_others_opened_latch_nothing() -> None:
    book = make_book(rules=limits(max_fills_per_hour=1))
    for number in (11, 12):
        event = fill(number, opened=number, units=1)
        assert event.opened
        book.apply(replace(event, opened=replace(event.opened, client_trade_id="by hand")))
    assert not book.blocked.get("EUR_USD")


def test_fills_an_hour_apart_latch_nothing() -> None:
    book = make_book(rules=limits(max_fills_per_hour=3))
    for number in range(4):
        late = 3_600 * S if number == 3 else number
        book.apply(fill(11 + number, opened=11 + number, units=1, time_ns=NOON + late))
    assert not book.blocked.get("EUR_USD")


def test_equity_takes_losses_dear_and_gains_cheap() -> None:
    book = make_book(held(units=100_000), balance=100_000)
    book.observe(quote("EUR_USD", 109_000, 109_010))
    book.observe(quote("GBP_USD", 125_000, 160_000))
    worth = Valuation(book, 0, Decimal("0.1"))
    # 1000 points down on 100,000 units: 1,000 USD at 0.8 × 1.1
    assert worth.equity() == Decimal(99_120)
    book.observe(quote("EUR_USD", 111_000, 111_010))
    # 1,000 USD up at 0.625 × 0.9
    assert Valuation(book, 0, Decimal("0.1")).equity() == Decimal("100562.5")
