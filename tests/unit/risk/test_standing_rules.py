"""Every rule on signal, price and account: under its limit, at it, and past it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sepd.domain.account import OrderAccepted, OrderCancelled
from sepd.domain.market import Quote
from sepd.domain.signal import Action
from sepd.execution.intent import exit_intent
from sepd.risk.reason import Reason
from tests.support.gate import held, limits, make_book, seconds, verdict
from tests.support.trading import ACCOUNT, NOON, S, make_entry, make_signal, quote

OK = Reason.ACCEPTED


def test_the_kill_switch_stops_every_entry() -> None:
    book = make_book()
    book.killed = "operator"
    assert verdict(book) is Reason.KILLED
    book.killed = ""
    assert verdict(book) is OK


def test_nothing_is_entered_before_the_account_is_reconciled() -> None:
    book = make_book()
    book.ready = False
    assert verdict(book) is Reason.RECONCILING
    book.ready = True
    book.block("", "difference")
    assert verdict(book) is Reason.RECONCILING
    book.unblock("", "difference")
    assert verdict(book) is OK


def test_a_blocked_pair_blocks_no_other() -> None:
    book = make_book()
    book.block("EUR_USD", "sepd-1")
    book.block("EUR_USD", "sepd-2")
    book.unblock("EUR_USD", "sepd-1")
    assert verdict(book) is Reason.INSTRUMENT_BLOCKED
    assert verdict(book, signal=make_signal(instrument="USD_CHF")) is OK
    book.unblock("EUR_USD", "sepd-2")
    assert verdict(book) is OK


def test_only_allowed_pairs_are_entered() -> None:
    assert verdict(make_book(), limits(allowed=("USD_CHF",))) is Reason.NOT_ALLOWED
    assert verdict(make_book(), limits(allowed=("USD_CHF", "EUR_USD"))) is OK
    unknown = make_signal(instrument="XAU_USD")
    assert verdict(make_book(), signal=unknown) is Reason.UNKNOWN_INSTRUMENT


@pytest.mark.parametrize(
    ("now_s", "wanted"),
    [
        ("299.999999999", OK),
        ("300", Reason.SIGNAL_EXPIRED),
        ("300.000000001", Reason.SIGNAL_EXPIRED),
        ("-2", OK),
        ("-2.000000001", Reason.SIGNAL_FROM_FUTURE),
    ],
)
def test_a_signal_is_good_from_its_making_until_its_expiry(now_s: str, wanted: Reason) -> None:
    now_ns = NOON + seconds(now_s)
    book = make_book(quoted_ns=now_ns)
    assert verdict(book, now_ns=now_ns) is wanted


@pytest.mark.parametrize(
    ("age_s", "wanted"),
    [("9.999999999", OK), ("10", OK), ("10.000000001", Reason.STALE_PRICE)],
)
def test_a_price_may_be_so_old(age_s: str, wanted: Reason) -> None:
    assert verdict(make_book(), now_ns=NOON + seconds(age_s)) is wanted


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("skew_s", "wanted"),
    [("1.999999999", OK), ("2", OK), ("2.000000001", Reason.CLOCK_SKEW)],
)
def test_the_clocks_may_differ_so_much(sign: int, skew_s: str, wanted: Reason) -> None:
    book = make_book()
    book.clock_skew_ns = sign * seconds(skew_s)
    assert verdict(book) is wanted


def test_a_price_from_the_future_means_that_a_clock_is_wrong() -> None:
    book = make_book()
    book.observe(quote("EUR_USD", 109_990, 110_000, NOON + 2 * S))
    assert verdict(book) is OK
    book.observe(quote("EUR_USD", 109_990, 110_000, NOON + 2 * S + 1))
    assert verdict(book) is Reason.CLOCK_SKEW


@pytest.mark.parametrize(
    ("bid", "ask", "wanted"),
    [
        (109_999, 110_000, OK),
        (110_000, 110_000, OK),
        (110_001, 110_000, Reason.CROSSED_PRICE),
        (0, 110_000, Reason.CROSSED_PRICE),
        (-1, 5, Reason.CROSSED_PRICE),
    ],
)
def test_a_price_must_be_sane(bid: int, ask: int, wanted: Reason) -> None:
    book = make_book()
    book.quotes["EUR_USD"] = quote("EUR_USD", bid, ask)
    assert verdict(book) is wanted


def test_there_must_be_a_price_that_the_broker_deals_on() -> None:
    book = make_book()
    book.quotes["EUR_USD"] = Quote("EUR_USD", NOON, 109_990, 110_000, tradeable=False)
    assert verdict(book) is Reason.NOT_TRADEABLE
    del book.quotes["EUR_USD"]
    assert verdict(book) is Reason.NO_PRICE


@pytest.mark.parametrize(("spread", "wanted"), [(39, OK), (40, OK), (41, Reason.SPREAD_TOO_WIDE)])
def test_the_spread_may_be_so_wide(spread: int, wanted: Reason) -> None:
    book = make_book()
    book.quotes["EUR_USD"] = quote("EUR_USD", 110_000 - spread, 110_000)
    assert verdict(book, limits(max_spread_pips=4)) is wanted


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("away", "wanted"), [(99, OK), (100, OK), (101, Reason.PRICE_OUTSIDE_COLLAR)]
)
def test_the_price_may_have_moved_so_far(side: int, away: int, wanted: Reason) -> None:
    assert verdict(make_book(), reference=110_000 + side * away) is wanted


@pytest.mark.parametrize(("points", "wanted"), [(499, OK), (500, OK), (501, Reason.JUMPING_PRICE)])
def test_a_price_that_jumps_is_put_in_quarantine(points: int, wanted: Reason) -> None:
    book = make_book()
    book.observe(quote("EUR_USD", 109_990 + points, 110_000 + points, NOON + S))
    assert verdict(book, now_ns=NOON + S) is wanted


@pytest.mark.parametrize(
    ("after_s", "wanted"),
    [("59.999999999", Reason.JUMPING_PRICE), ("60", OK), ("60.000000001", OK)],
)
def test_the_quarantine_ends(after_s: str, wanted: Reason) -> None:
    book = make_book()
    book.observe(quote("EUR_USD", 120_000, 120_010, NOON + S))
    now_ns = NOON + S + seconds(after_s)
    book.observe(quote("EUR_USD", 120_000, 120_010, now_ns))
    assert verdict(book, now_ns=now_ns) is wanted


@pytest.mark.parametrize(("apart_s", "wanted"), [("10", Reason.JUMPING_PRICE), ("10.1", OK)])
def test_quotes_far_apart_in_time_may_differ(apart_s: str, wanted: Reason) -> None:
    book = make_book()
    now_ns = NOON + seconds(apart_s)
    book.observe(quote("EUR_USD", 120_000, 120_010, now_ns))
    assert verdict(book, now_ns=now_ns) is wanted


@pytest.mark.parametrize(("before", "wanted"), [(59, OK), (60, Reason.THROTTLED)])
def test_so_many_orders_a_minute(before: int, wanted: Reason) -> None:
    book = make_book()
    book.sent_ns.extend(NOON - 60 * S + 1 + number for number in range(before))
    assert verdict(book) is wanted


def test_the_throttle_opens_after_a_minute() -> None:
    book = make_book()
    book.sent_ns.extend([NOON - 60 * S] * 60)
    assert verdict(book) is OK


@pytest.mark.parametrize(
    ("losses", "since_s", "wanted"),
    [
        (5, 0, OK),
        (6, 0, Reason.LOSS_STREAK),
        (6, 3_599, Reason.LOSS_STREAK),
        (6, 3_600, OK),
        (7, 3_601, OK),
    ],
)
def test_a_run_of_losses_is_followed_by_a_pause(losses: int, since_s: int, wanted: Reason) -> None:
    book = make_book()
    book.loss_streak, book.last_loss_ns = losses, NOON - since_s * S
    assert verdict(book, limits(max_loss_streak=6, cool_down_s=3_600)) is wanted


def test_a_trade_without_a_stop_stops_entries() -> None:
    book = make_book(held("USD_CHF", price=100_000))
    stop = OrderAccepted(11, NOON, "STOP_LOSS", "CLIENT_ORDER", price=99_000, trade_id=5)
    book.apply(stop)
    assert verdict(book) is OK
    book.apply(OrderCancelled(12, NOON, 11, "CLIENT_REQUEST"))
    assert verdict(book) is Reason.UNPROTECTED_TRADE


def test_nothing_is_entered_against_what_is_held() -> None:
    assert verdict(make_book(held(units=-1_000))) is Reason.OPPOSITE_POSITION
    book = make_book()
    book.reserve(make_entry(make_signal(2, action=Action.SELL)))
    assert verdict(book) is Reason.OPPOSITE_POSITION


@pytest.mark.parametrize(
    ("trades", "pending", "wanted"),
    [(0, 0, OK), (1, 0, OK), (0, 1, OK), (1, 1, Reason.DUPLICATE_POSITION)],
)
def test_so_many_positions_of_a_pair(trades: int, pending: int, wanted: Reason) -> None:
    book = make_book(*[held(number=number) for number in range(trades)])
    for number in range(pending):
        book.reserve(make_entry(make_signal(10 + number)))
    assert verdict(book, limits(max_positions_per_instrument=2)) is wanted


@pytest.mark.parametrize(("others", "wanted"), [(1, OK), (2, OK), (3, Reason.TOO_MANY_POSITIONS)])
def test_so_many_positions_in_all(others: int, wanted: Reason) -> None:
    names = ("USD_CHF", "GBP_USD", "EUR_GBP")
    trades = [held(name, number=place) for place, name in enumerate(names[:others])]
    assert verdict(make_book(*trades), limits(max_positions=3)) is wanted


def test_a_pair_that_is_being_closed_is_not_entered() -> None:
    book = make_book(held(number=5))
    leaving = exit_intent(ACCOUNT, "S1", book.trades[5], now_ns=NOON, checkpoint=10)
    book.reserve(leaving)
    assert verdict(book) is Reason.EXIT_PENDING
    book.release(leaving.id)
    assert verdict(book) is OK


@pytest.mark.parametrize(
    ("measured", "wanted"),
    [("0.7999", OK), ("0.8000", Reason.TOO_CORRELATED), ("0.8001", Reason.TOO_CORRELATED)],
)
def test_positions_that_move_together_are_bounded(measured: str, wanted: Reason) -> None:
    book = make_book(held("GBP_USD", price=125_000))
    book.correlation = {frozenset(("EUR_USD", "GBP_USD")): Decimal(measured)}
    assert verdict(book, limits(max_correlated=1)) is wanted
    assert verdict(book, limits(max_correlated=2)) is OK


def test_unmeasured_pairs_are_judged_by_their_currencies() -> None:
    bound = limits(max_correlated=1)
    assert verdict(make_book(held("USD_CHF", units=1_000)), bound) is OK
    assert verdict(make_book(held("USD_CHF", units=-1_000)), bound) is Reason.TOO_CORRELATED
    assert verdict(make_book(held("EUR_GBP", price=88_000)), bound) is Reason.TOO_CORRELATED
