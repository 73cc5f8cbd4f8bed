"""The decisions, without I/O: events change what is known, questions are answered from it.

The same events, ledger entries and questions in the same order give the same decisions, byte
for byte: live, in simulation, in a backtest, in a replay of the journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from sepd.bitspace.analyser import Analyser
from sepd.domain.account import OpenTrade
from sepd.domain.event import Payload
from sepd.domain.ids import OURS, ulid
from sepd.domain.market import Candle, Gap, Heartbeat, Quote
from sepd.domain.order import OrderIntent
from sepd.domain.signal import INVALID, Action, Signal
from sepd.execution.intent import entry_intent, exit_intent
from sepd.risk.book import Book
from sepd.risk.correlation import Closes, Past, mean_true_range
from sepd.risk.gate import Refused, assess, assess_exit
from sepd.risk.reason import Reason
from sepd.risk.situation import EntryRequest
from sepd.settings import RiskSettings
from sepd.signals.rule import Q14, RULE, Held, Opinion, PolarityRule
from sepd.signals.series import read_series
from sepd.signals.view import InstrumentView


class Question(Struct, frozen=True, gc=False):
    """What to do about `instrument`, whose finest candle of the rule closed at `closed_ns`.

    `now_ns` is the time by which prices are too old; `stale` says that some may have been
    missed; `checkpoint` is the newest account transaction known; `skew_ns` is broker time minus
    local time.
    """

    instrument: str
    closed_ns: int
    now_ns: int
    stale: bool
    checkpoint: int
    skew_ns: int = 0


class Decision(Struct, frozen=True, gc=False):
    """A signal, the verdict on it, and the intent that came of it.

    `snapshot` is what the risk gate saw (canonical JSON).
    """

    signal: Signal
    verdict: str
    intent: OrderIntent | None = None
    snapshot: str = ""


class Decider:
    """Views, book and rule of one account.

    Args:
        analyser: makes readings batch by batch; None where the views make them themselves.
        past: closes of the rule's finest candles from before the start, per pair by start, ns.
    """

    def __init__(
        self,
        *,
        views: Mapping[str, InstrumentView],
        book: Book,
        rule: PolarityRule,
        limits: RiskSettings,
        config_version: str,
        account_id: str,
        analyser: Analyser | None = None,
        past: Past = MappingProxyType({}),
    ) -> None:
        self.views = views
        self.book = book
        self.rule = rule
        self._limits = limits
        self._config_version = config_version
        self._account_id = account_id
        self._analyser = analyser
        self._closes = Closes(rule.finest, limits.correlation_candles, past)
        book.correlation = self._closes.measure()

    def take(self, payload: Payload) -> dict[str, Sequence[Candle]]:
        """Learn from an event of the market; the candles it completed, by instrument.

        Events of the account change nothing here: they come through the ledger.
        """
        match payload:
            case Quote():
                self.book.observe(payload)
                done = self.views[payload.instrument].quote(payload)
                return {payload.instrument: done} if done else {}
            case Heartbeat():
                every = ((name, v.heartbeat(payload.time_ns)) for name, v in self.views.items())
                return {name: done for name, done in every if done}
            case Candle():
                done = self.views[payload.instrument].correct(payload)
                return {payload.instrument: done} if done else {}
            case Gap():
                self.views[payload.instrument].gap(payload)
        return {}

    def closes(self, candles: Sequence[Candle]) -> bool:
        """Whether the rule is to be asked after `candles`."""
        finest = self.rule.finest
        return bool([candle for candle in candles if candle.granularity is finest])

    def read(self) -> None:
        """Make the readings that were left to the analyser, all in one call."""
        if self._analyser is not None:
            unread = [series for view in self.views.values() for series in view.take_unread()]
            read_series(unread, self._analyser)

    def catch_up(self, candles: Sequence[Candle]) -> None:
        """Learn from `candles`, in the order of `take`, what no decision on them waits for.

        Readings that none has asked for are made. How pairs move together is measured anew with
        the first candle of an hour, which takes tens of milliseconds with many pairs: decisions
        on the candles of one batch all rest on what was measured before.
        """
        for candle in candles:
            self.views[candle.instrument].series[candle.granularity].catch_up()
        if self._closes.add(candles):
            self.book.correlation = self._closes.measure()

    def decide(self, question: Question) -> Decision | None:
        """The decision, or None where there is nothing to do."""
        name, now_ns = question.instrument, question.closed_ns
        trade = self._own_trade(name)
        held = Held(1 if trade.units > 0 else -1, trade.opened_ns) if trade else None
        opinion = self.rule.opinion(self.views[name].readings(self.rule.granularities), now_ns)
        action = self.rule.act(opinion, held, now_ns)
        if action is None:
            return None
        signal = self._signal(name, action, opinion, now_ns)
        if action is Action.CLOSE and trade is not None:
            return self._exit(signal, trade, question)
        return self._enter(signal, question)

    def rehearse(self, name: str) -> OrderIntent | None:
        """Form and judge an entry of `name` and forget it: nothing here is any different after.

        What a decision runs through is in the processor's caches then. The intent that the gate
        would let pass, or None.
        """
        quote, recent = self.book.quotes.get(name), self.views[name].recent(self.rule.finest)
        if quote is None or not recent:
            return None
        now_ns = quote.time_ns
        opinion = self.rule.opinion(self.views[name].readings(self.rule.granularities), now_ns)
        surest = opinion or Opinion(Action.BUY, Q14, INVALID)
        signal = self._signal(name, surest.action, surest, now_ns)
        skew_ns = self.book.clock_skew_ns
        return self._enter(signal, Question(name, now_ns, now_ns, False, 0, skew_ns)).intent

    def _own_trade(self, name: str) -> OpenTrade | None:
        """The open trade of `name` that sepd opened; what others opened is theirs to close."""
        for trade in self.book.trades.values():
            if trade.instrument == name and trade.client_trade_id.startswith(OURS):
                return trade
        return None

    def _enter(self, signal: Signal, question: Question) -> Decision:
        if question.stale:
            return Decision(signal, Reason.STALE_PRICE)
        self.book.clock_skew_ns = question.skew_ns
        now_ns = max(question.closed_ns, question.now_ns)
        recent = self.views[signal.instrument].recent(self.rule.finest)
        last = recent[-1]
        request = EntryRequest(
            signal,
            now_ns,
            reference=last.ask_close if signal.action.sign > 0 else last.bid_close,
            volatility_points=mean_true_range(recent) if self._limits.volatility_stops else 0,
            exit_by_ns=question.closed_ns + self.rule.hold_ns,
        )
        verdict = assess(request, self.book, self._limits)
        snapshot = verdict.snapshot.decode()
        if isinstance(verdict, Refused):
            return Decision(signal, verdict.reason, snapshot=snapshot)
        intent = entry_intent(
            self._account_id,
            signal,
            units=verdict.units,
            price_bound=verdict.price_bound,
            stop_loss=verdict.stop_loss,
            take_profit=verdict.take_profit,
            now_ns=question.closed_ns,
            checkpoint=question.checkpoint,
        )
        return Decision(signal, Reason.ACCEPTED, intent, snapshot)

    def _exit(self, signal: Signal, trade: OpenTrade, question: Question) -> Decision:
        refused = assess_exit(trade.trade_id, self.book)
        if refused:
            return Decision(signal, refused.reason)
        intent = exit_intent(
            self._account_id,
            signal.id,
            trade,
            now_ns=question.closed_ns,
            checkpoint=question.checkpoint,
        )
        return Decision(signal, Reason.ACCEPTED, intent)

    def _signal(self, name: str, action: Action, opinion: Opinion | None, now_ns: int) -> Signal:
        finest = self.rule.finest
        return Signal(
            id=ulid(now_ns, name, finest, RULE, action, self._config_version),
            instrument=name,
            granularity=finest,
            action=action,
            confidence=opinion.confidence if opinion else 0,
            metrics=opinion.metrics if opinion else INVALID,
            rule=RULE,
            config_version=self._config_version,
            created_ns=now_ns,
            valid_until_ns=now_ns + self.rule.validity_ns,
        )
