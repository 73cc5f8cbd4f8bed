"""Measured correlation decides in the gate, from closes before the start and since."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepd.decide import Decider, Decision, Question
from sepd.domain.account import AccountSnapshot, OpenTrade
from sepd.domain.event import MarketEvent
from sepd.domain.market import Candle, Granularity, Instrument, Quote
from sepd.domain.signal import Action
from sepd.journal import Arrived, Asked, Decided, Entry, Journal, Started, entries
from sepd.ports import StoredState
from sepd.replay import Replay
from sepd.risk.book import Book
from sepd.risk.reason import Reason
from sepd.settings import BitspaceSettings, MarketSettings, RiskSettings, RuleSettings, Settings
from sepd.signals.rule import PolarityRule
from sepd.signals.view import view_market

M1 = Granularity.M1
START_NS = 1_398_902_400_000_000_000
PAIRS = {name: Instrument(name) for name in ("EUR_USD", "GBP_USD", "GBP_CHF", "USD_CHF")}
RISES = [1] * 8
# Sixteen moves each: of GBP_USD twelve are those of EUR_USD and four are against them.
ONE = [3, -3] * 8
OTHER = [*ONE[:12], -3, 3, -3, 3]
BOTH = frozenset(("EUR_USD", "GBP_USD"))


def settings_of(correlation_min: str = "0.8", candles: int = 30) -> Settings:
    return Settings(
        instruments=tuple(PAIRS),
        market=MarketSettings(base=M1, granularities=()),
        bitspace=BitspaceSettings(window=4, iterations=2),
        rule=RuleSettings(
            granularities=(M1,),
            polarity_min=Decimal("0.01"),
            coherence_min=Decimal(0),
            stability_min=Decimal(0),
            hold_candles=50,
        ),
        risk=RiskSettings(
            max_correlated=1,
            correlation_min=Decimal(correlation_min),
            correlation_candles=candles,
            max_gross_leverage=Decimal(100),
            max_net_leverage=Decimal(100),
            max_currency_leverage=Decimal(100),
        ),
    )


def closes(moves: list[int], base: int = 276_000, last_ns: int = START_NS) -> dict[int, int]:
    """Closes a minute apart, the last of a candle that ends at `last_ns`."""
    prices = [base]
    for move in moves:
        prices.append(prices[-1] + move * 100)
    first_ns = last_ns - len(prices) * M1.ns
    return {first_ns + number * M1.ns: price for number, price in enumerate(prices)}


class Run:
    """A decider whose inputs and decisions are journaled; GBP_USD or another pair is held."""

    def __init__(
        self, settings: Settings, past: dict[str, dict[int, int]], held: str = "GBP_USD"
    ) -> None:
        trade = OpenTrade(9, held, Decimal(100), 138_000, START_NS, stop_loss=137_000)
        snapshot = AccountSnapshot(
            account_id="1",
            currency="USD",
            balance=Decimal(100_000),
            nav=Decimal(100_000),
            margin_used=Decimal(0),
            margin_available=Decimal(100_000),
            last_transaction_id=9,
            trades=(trade,),
        )
        state = StoredState(last_transaction_id=9)
        self.journal = Journal()
        self.journal.add(
            Started(
                version="0",
                settings=settings.model_dump_json(),
                account_id="1",
                now_ns=START_NS,
                instruments=tuple(PAIRS.values()),
                snapshot=snapshot,
                state=state,
                closes=past,
            )
        )
        self.book = Book("USD", PAIRS, settings.risk)
        self.book.restore(snapshot, state, START_NS)
        self.book.ready = True
        self.sequence = 0
        self.decider = Decider(
            views=view_market(
                PAIRS, settings.instruments, settings.market, settings.bitspace, streamed=True
            ),
            book=self.book,
            rule=PolarityRule(settings.rule),
            limits=settings.risk,
            config_version=settings.version,
            account_id="1",
            past=past,
        )

    def quote(self, name: str, time_ns: int, bid: int) -> list[Decision]:
        """A batch of one quote."""
        return self.batch(Quote(name, time_ns, bid, bid + 10))

    def batch(self, *quotes: Quote) -> list[Decision]:
        """Quotes that came together, and the decisions on the candles they close."""
        events = []
        for quote in quotes:
            self.sequence += 1
            events.append(MarketEvent(self.sequence, quote.time_ns, quote))
        self.journal.add(Arrived(tuple(events)))
        completed: list[Candle] = []
        closing = []
        for quote in quotes:
            done = self.decider.take(quote).get(quote.instrument, ())
            completed += done
            closing += [quote] if self.decider.closes(done) else []
        decisions = [self._ask(quote) for quote in closing]
        self.decider.catch_up(completed)
        return [decision for decision in decisions if decision]

    def _ask(self, quote: Quote) -> Decision | None:
        question = Question(quote.instrument, quote.time_ns, quote.time_ns, False, 9)
        self.journal.add(Asked(question))
        decision = self.decider.decide(question)
        if decision is not None:
            self.journal.add(Decided(decision))
        return decision

    def play(
        self, moves: list[tuple[str, int]], minute: int = 0, *, together: bool = False
    ) -> list[Decision]:
        """A quote a minute of every pair named, each so much above its last; those of a minute
        come one by one or together.
        """
        bids = dict.fromkeys(PAIRS, 138_000)
        found = []
        for number, (name, move) in enumerate(moves, start=minute):
            bids[name] += move
            others = (n for n in PAIRS if n != name and n in {m for m, _ in moves})
            time_ns = START_NS + number * M1.ns
            quotes = [Quote(n, time_ns, bids[n], bids[n] + 10) for n in (name, *others)]
            for each in [quotes] if together else [[quote] for quote in quotes]:
                found += self.batch(*each)
        return found

    def entered(self) -> str:
        """The verdict on buying EUR_USD."""
        for other in ("GBP_USD", "GBP_CHF", "USD_CHF"):
            self.quote(other, START_NS, 138_000)
        found = self.play([("EUR_USD", move) for move in RISES])
        return next(d.verdict for d in found if d.signal.action is Action.BUY)

    def entries(self) -> list[Entry]:
        record = self.journal.take()
        assert record is not None
        return list(entries([record]))


def measured() -> Decimal:
    """What the closes above come to."""
    past = {"EUR_USD": closes(ONE), "GBP_USD": closes(OTHER)}
    return Run(settings_of(), past).book.correlation[BOTH]


@pytest.mark.parametrize(
    ("above", "verdict"),
    [("-0.0001", Reason.TOO_CORRELATED), ("0", Reason.TOO_CORRELATED), ("0.0001", "accepted")],
)
def test_a_pair_moves_together_from_the_limit_on(above: str, verdict: str) -> None:
    past = {"EUR_USD": closes(ONE), "GBP_USD": closes(OTHER)}
    limit = measured() + Decimal(above)
    assert Decimal("0.4") < limit < Decimal("0.6")
    assert Run(settings_of(str(limit)), past).entered() == verdict


def test_with_too_few_closes_the_currencies_decide() -> None:
    past = {"EUR_USD": closes(ONE), "GBP_USD": closes(OTHER)}
    assert Run(settings_of(candles=32), past).entered() == "accepted"
    short = Run(settings_of(candles=34), past)
    assert short.book.correlation == {}
    assert short.entered() == Reason.TOO_CORRELATED


def test_strangers_that_move_together_count_together() -> None:
    past = {"EUR_USD": closes(ONE), "GBP_CHF": closes(ONE)}
    assert Run(settings_of(), {}, "GBP_CHF").entered() == "accepted"
    assert Run(settings_of(), past, "GBP_CHF").entered() == Reason.TOO_CORRELATED


def test_the_first_candle_of_an_hour_measures_anew() -> None:
    run = Run(settings_of(candles=20), {})
    bids = {"EUR_USD": 138_000, "GBP_USD": 168_000}
    for minute in range(62):
        for name, bid in bids.items():
            bids[name] = bid + (7 if minute % 3 else -11)
            run.quote(name, START_NS + minute * M1.ns, bids[name])
        if minute < 60:
            assert run.book.correlation == {}, minute
    assert run.book.correlation[BOTH] > Decimal("0.99")


def test_decisions_on_one_batch_rest_on_what_was_measured_before() -> None:
    past = {"EUR_USD": closes(ONE), "GBP_USD": closes(OTHER)}
    run = Run(settings_of(str(measured())), past)
    for other in ("GBP_CHF", "USD_CHF"):
        run.quote(other, START_NS, 138_000)
    moves = [("GBP_USD", 0), *(("EUR_USD", 30) for _ in RISES)]
    found = run.play(moves, 55, together=True)
    verdicts = {d.signal.created_ns - START_NS: d.verdict for d in found if buys_euro(d)}
    hour_ns = 60 * M1.ns  # its first candle closes a minute later
    assert verdicts[hour_ns + M1.ns] == Reason.TOO_CORRELATED
    assert verdicts[hour_ns + 2 * M1.ns] == "accepted"
    replay = Replay()
    replay.take(run.entries())
    assert replay.finish().differences == []


def buys_euro(decision: Decision) -> bool:
    """Whether it is about buying EUR_USD."""
    return decision.signal.instrument == "EUR_USD" and decision.signal.action is Action.BUY


MOVES = st.lists(st.tuples(st.sampled_from(sorted(PAIRS)), st.integers(-9, 9)), max_size=30)


@given(
    MOVES,
    st.lists(st.integers(-3, 3), min_size=16, max_size=40),
    st.integers(20, 70),
    st.booleans(),
)
def test_a_replay_measures_and_decides_the_same(
    moves: list[tuple[str, int]], past: list[int], minute: int, together: bool
) -> None:
    run = Run(settings_of("0.5", candles=20), {n: closes(past[i:]) for i, n in enumerate(PAIRS)})
    run.play(moves, minute, together=together)
    replay = Replay()
    replay.take(run.entries())
    assert replay.finish().differences == []
