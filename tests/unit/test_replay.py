"""The journal decides again to the same byte, and an altered one is caught."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sepd.decide import Decider, Question
from sepd.domain.account import AccountSnapshot, OrderFilled, TradeOpen
from sepd.domain.event import MarketEvent
from sepd.domain.market import Granularity, Instrument, Quote
from sepd.errors import InputError
from sepd.journal import Arrived, Asked, Decided, Entry, Journal, JournaledLedger, Started, entries
from sepd.ports import StoredState
from sepd.replay import Replay, Replayed
from sepd.risk.book import Book
from sepd.settings import BitspaceSettings, MarketSettings, RuleSettings, Settings
from sepd.signals.rule import PolarityRule
from sepd.signals.view import view_market

M1 = Granularity.M1
EUR_USD = Instrument("EUR_USD")
START_NS = 1_398_902_400_000_000_000
SETTINGS = Settings(
    market=MarketSettings(base=M1, granularities=()),
    bitspace=BitspaceSettings(window=4, iterations=2),
    rule=RuleSettings(
        granularities=(M1,),
        polarity_min=Decimal("0.01"),
        coherence_min=Decimal(0),
        stability_min=Decimal(0),
        hold_candles=5,
    ),
)
SNAPSHOT = AccountSnapshot(
    account_id="1",
    currency="USD",
    balance=Decimal(100_000),
    nav=Decimal(100_000),
    margin_used=Decimal(0),
    margin_available=Decimal(100_000),
    last_transaction_id=2,
)


class Run:
    """A node without its shell: events in, decisions journaled, fills booked at once."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.book = Book("USD", {"EUR_USD": EUR_USD})
        state = StoredState(last_transaction_id=2)
        self.journal.add(
            Started(
                version="0",
                settings=SETTINGS.model_dump_json(),
                account_id="1",
                now_ns=START_NS,
                instruments=(EUR_USD,),
                snapshot=SNAPSHOT,
                state=state,
            )
        )
        self.book.restore(SNAPSHOT, state, START_NS)
        self.book.ready = True
        self.ledger = JournaledLedger(self.book, self.journal)
        self.sequence = 0
        views = view_market(
            {"EUR_USD": EUR_USD}, ["EUR_USD"], SETTINGS.market, SETTINGS.bitspace, streamed=True
        )
        self.decider = Decider(
            views=views,
            book=self.book,
            rule=PolarityRule(SETTINGS.rule),
            limits=SETTINGS.risk,
            config_version=SETTINGS.version,
            account_id="1",
        )

    def quote(self, time_ns: int, bid: int) -> None:
        """One quote as a batch of its own, and the decision where it closes a candle."""
        self.sequence += 1
        quote = Quote("EUR_USD", time_ns, bid, bid + 10)
        self.journal.add(Arrived((MarketEvent(self.sequence, time_ns, quote),)))
        candles = self.decider.take(quote).get("EUR_USD", ())
        self.decider.read()
        if self.decider.closes(candles):
            self._ask(quote)
        self.decider.catch_up(candles)

    def _ask(self, quote: Quote) -> None:
        time_ns = quote.time_ns
        question = Question("EUR_USD", time_ns, time_ns, False, self.book.last_transaction_id)
        self.journal.add(Asked(question))
        decision = self.decider.decide(question)
        if decision is None:
            return
        self.journal.add(Decided(decision))
        if decision.intent is not None and decision.intent.trade_id is None:
            self.ledger.reserve(decision.intent)
            self._fill(decision.intent.id, decision.intent.units, quote)

    def _fill(self, client_id: str, units: Decimal, quote: Quote) -> None:
        number = self.book.last_transaction_id + 1
        price = quote.ask if units > 0 else quote.bid
        self.ledger.apply(
            OrderFilled(
                transaction_id=number,
                time_ns=quote.time_ns,
                order_id=number,
                instrument="EUR_USD",
                units=units,
                price=price,
                reason="MARKET_ORDER",
                pl=Decimal(0),
                financing=Decimal(0),
                commission=Decimal(0),
                balance=self.book.balance,
                client_order_id=client_id,
                opened=TradeOpen(number, units, price, client_id),
            )
        )

    def entries(self) -> list[Entry]:
        """Everything journaled, as it reads back."""
        record = self.journal.take()
        assert record is not None
        return list(entries([record]))


def replayed(found: list[Entry]) -> Replayed:
    replay = Replay()
    replay.take(found)
    return replay.finish()


def run_of(moves: list[int], rehearsals: int = 0) -> Run:
    run, bid = Run(), 138_000
    for minute, move in enumerate(moves):
        bid += move
        run.quote(START_NS + minute * M1.ns, bid)
        for _ in range(rehearsals):
            run.decider.rehearse("EUR_USD")
    return run


RISING = [1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1]


@given(st.lists(st.integers(-3, 3), max_size=60))
def test_every_run_replays_to_the_same_decisions(moves: list[int]) -> None:
    result = replayed(run_of(moves).entries())
    assert result.differences == []
    assert result.events == len(moves)


@given(st.lists(st.integers(-3, 3), max_size=60))
def test_rehearsals_leave_no_trace(moves: list[int]) -> None:
    assert run_of(moves, rehearsals=2).entries() == run_of(moves).entries()


def test_a_rehearsal_goes_through_the_gate_to_an_intent() -> None:
    run = run_of([1] * 3)
    intent = run.decider.rehearse("EUR_USD")
    assert intent is not None
    assert intent.id not in run.book.pending


def test_the_example_trades_both_ways() -> None:
    found = [entry for entry in run_of(RISING).entries() if isinstance(entry, Decided)]
    actions = {str(entry.decision.signal.action) for entry in found}
    assert {"BUY", "CLOSE"} <= actions


def test_an_altered_price_is_caught() -> None:
    found = run_of(RISING).entries()
    place = next(n for n, entry in enumerate(found) if isinstance(entry, Decided)) - 2
    arrived = found[place]
    assert isinstance(arrived, Arrived)
    event = arrived.events[0]
    assert isinstance(event.payload, Quote)
    other = replace(event.payload, ask=event.payload.ask + 1)
    found[place] = Arrived((replace(event, payload=other),))
    assert len(replayed(found).differences) >= 1


def test_an_altered_decision_is_caught() -> None:
    found = run_of(RISING).entries()
    place = next(n for n, entry in enumerate(found) if isinstance(entry, Decided))
    decided = found[place]
    assert isinstance(decided, Decided)
    signal = replace(decided.decision.signal, confidence=decided.decision.signal.confidence + 1)
    found[place] = Decided(replace(decided.decision, signal=signal))
    (difference,) = replayed(found).differences
    assert difference.recorded is not None
    assert difference.replayed is not None
    assert difference.recorded.signal.confidence == difference.replayed.signal.confidence + 1


def test_a_decision_left_out_is_caught() -> None:
    found: list[Entry] = [e for e in run_of(RISING).entries() if not isinstance(e, Decided)]
    assert replayed(found).differences[0].recorded is None


def test_a_journal_without_its_beginning_is_refused() -> None:
    with pytest.raises(InputError, match="does not begin with the start of a node"):
        replayed(run_of(RISING).entries()[1:])


def test_equal_runs_have_equal_fingerprints() -> None:
    first, second, other = run_of(RISING), run_of(RISING), run_of(RISING[:-1])
    assert first.journal.fingerprint == second.journal.fingerprint
    assert first.journal.fingerprint != other.journal.fingerprint
