"""The single consumer: a batch of events → candles and readings → signals → risk → intents.

It alone changes the market views and the book, so nothing here needs a lock, and the same
events in the same order always make the same decisions.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog
from msgspec import Struct

from sepd.bitspace.analyser import Analyser
from sepd.domain.account import AccountEvent, OpenTrade, TransactionHeartbeat
from sepd.domain.event import MarketEvent
from sepd.domain.ids import ulid
from sepd.domain.market import Candle, Gap, Heartbeat, Quote
from sepd.domain.order import OrderIntent
from sepd.domain.signal import INVALID, Action, Signal
from sepd.execution.executor import Executor
from sepd.execution.intent import entry_intent, exit_intent
from sepd.ports import Cache, Clock, Events, JournalRecord, Store
from sepd.risk.book import Book
from sepd.risk.gate import Refused, assess, assess_exit
from sepd.risk.reason import Reason
from sepd.risk.situation import EntryRequest
from sepd.settings import RiskSettings
from sepd.signals.rule import RULE, Held, Opinion, PolarityRule
from sepd.signals.series import read_series
from sepd.signals.view import InstrumentView

log = structlog.get_logger(__name__)

NotQuote = Candle | Heartbeat | Gap | AccountEvent | TransactionHeartbeat
SOURCE = "stream"
LATENCIES = 1_024


class Decision(Struct, frozen=True):
    """A signal, the verdict on it, and the intent that came of it: what replay must reproduce."""

    signal: Signal
    verdict: str
    intent: OrderIntent | None = None


class Tally:
    """What the consumer has seen and done since the start."""

    def __init__(self) -> None:
        self.events = 0
        self.quotes = 0
        self.signals = 0
        self.orders = 0
        self.refused: Counter[str] = Counter()
        self.last_signal: str | None = None
        self.latencies_ns: deque[int] = deque(maxlen=LATENCIES)
        self.decisions = hashlib.sha256()


class Pipeline:
    """Takes events off the queue and deals with them, batch by batch.

    Args:
        clock: time by which prices are too old and signals expire.
        analyser: makes readings batch by batch; None where the views make them themselves.
        stale: whether the prices of an instrument may have been missed.
        on_time: told broker time as candles end.
        on_progress: told after each batch that the consumer moved on.
        timer: measures latency; decisions never look at it.
        paced: the venue waits for us, so we wait for our orders: nothing depends on speed.
    """

    def __init__(
        self,
        *,
        queue: Events,
        views: Mapping[str, InstrumentView],
        book: Book,
        rule: PolarityRule,
        limits: RiskSettings,
        executor: Executor,
        store: Store,
        cache: Cache,
        config_version: str,
        account_id: str,
        clock: Clock,
        analyser: Analyser | None,
        stale: Callable[[str], bool],
        on_time: Callable[[int], None],
        on_progress: Callable[[int], None],
        timer: Clock,
        paced: bool = False,
    ) -> None:
        self.tally = Tally()
        self.paused = False
        self._queue = queue
        self._views = views
        self._book = book
        self._rule = rule
        self._limits = limits
        self._executor = executor
        self._store = store
        self._cache = cache
        self._config_version = config_version
        self._account_id = account_id
        self._clock = clock
        self._analyser = analyser
        self._stale = stale
        self._on_time = on_time
        self._on_progress = on_progress
        self._timer = timer
        self._paced = paced

    async def run(self, batch_events: int) -> None:
        """Consume until cancelled."""
        while True:
            batch = await self._queue.get_batch(batch_events)
            await self.consume(batch)
            self._queue.processed(batch[-1].sequence)
            self._on_progress(self.tally.events)

    async def consume(self, batch: Sequence[MarketEvent]) -> None:
        """Deal with one batch, in order; then read what closed in it, and decide."""
        started_ns = self._timer.monotonic_ns()
        await self._store.record_events(batch)
        newest: dict[str, Quote] = {}
        closed: dict[str, int] = {}
        for event in batch:
            payload = event.payload
            if isinstance(payload, Quote):
                self.tally.quotes += 1
                newest[payload.instrument] = payload
                self._book.observe(payload)
                done = self._views[payload.instrument].quote(payload)
                if done:
                    await self._completed(payload.instrument, done, payload.time_ns, closed)
            else:
                await self._other(payload, closed)
        self.tally.events += len(batch)
        self._cache.put_quotes(list(newest.values()))
        if closed:
            self._read()
            for name, now_ns in closed.items():
                await self._decide(name, now_ns)
                self.tally.latencies_ns.append(self._timer.monotonic_ns() - started_ns)

    async def _other(self, payload: NotQuote, closed: dict[str, int]) -> None:
        """Everything on the queue that is not a quote."""
        match payload:
            case Heartbeat():
                for name, view in self._views.items():
                    done = view.heartbeat(payload.time_ns)
                    await self._completed(name, done, payload.time_ns, closed)
            case Candle():
                await self._keep(self._views[payload.instrument].repair(payload))
            case Gap():
                self._views[payload.instrument].gap(payload)
            case TransactionHeartbeat():
                self._executor.note(payload.last_transaction_id)
            case _:
                self._executor.offer([payload])

    async def _completed(
        self, name: str, candles: Sequence[Candle], now_ns: int, closed: dict[str, int]
    ) -> None:
        """Keep candles that ended now; `closed` notes where the rule's finest is among them."""
        self._on_time(now_ns)
        await self._keep(candles)
        if any(candle.granularity is self._rule.finest for candle in candles):
            closed[name] = now_ns

    def _read(self) -> None:
        """Make the readings that were left to the analyser, all in one call."""
        if self._analyser is None:
            return
        unread = [one for view in self._views.values() for one in view.take_unread()]
        read_series(unread, self._analyser)

    async def _keep(self, candles: Sequence[Candle]) -> None:
        if not candles:
            return
        await self._store.record_candles(candles, SOURCE)
        self._cache.put_candles(candles)

    async def _decide(self, name: str, now_ns: int) -> None:
        """Signal, verdict and order for one instrument."""
        if self.paused:
            return
        if self._paced:
            await self._executor.drain()
        trade = next((t for t in self._book.trades.values() if t.instrument == name), None)
        held = Held(1 if trade.units > 0 else -1, trade.opened_ns) if trade else None
        opinion = self._rule.opinion(self._views[name].readings(), now_ns)
        action = self._rule.act(opinion, held, now_ns)
        if action is None:
            return
        signal = self._signal(name, action, opinion, now_ns)
        self.tally.signals += 1
        self.tally.last_signal = signal.id
        self._cache.put_signal(signal)
        if action is Action.CLOSE and trade is not None:
            await self._exit(signal, trade, now_ns)
        else:
            await self._enter(signal, now_ns)

    async def _enter(self, signal: Signal, now_ns: int) -> None:
        if self._stale(signal.instrument):
            await self._refuse(signal, Reason.STALE_PRICE)
            return
        request = EntryRequest(signal, max(now_ns, self._clock.now_ns()))
        verdict = assess(request, self._book, self._limits)
        if isinstance(verdict, Refused):
            await self._refuse(signal, verdict.reason)
            return
        intent = entry_intent(
            self._account_id,
            signal,
            units=verdict.units,
            price_bound=verdict.price_bound,
            stop_loss=verdict.stop_loss,
            take_profit=verdict.take_profit,
            now_ns=now_ns,
            checkpoint=self._executor.last_transaction_id,
        )
        await self._submit(signal, intent, verdict.snapshot)

    async def _exit(self, signal: Signal, trade: OpenTrade, now_ns: int) -> None:
        refused = assess_exit(trade.trade_id, self._book)
        if refused:
            await self._refuse(signal, refused.reason)
            return
        checkpoint = self._executor.last_transaction_id
        intent = exit_intent(
            self._account_id, signal.id, trade, now_ns=now_ns, checkpoint=checkpoint
        )
        await self._submit(signal, intent, b"{}")

    def _signal(self, name: str, action: Action, opinion: Opinion | None, now_ns: int) -> Signal:
        granularity = self._rule.finest
        return Signal(
            id=ulid(now_ns, name, granularity, RULE, action, self._config_version),
            instrument=name,
            granularity=granularity,
            action=action,
            confidence=opinion.confidence if opinion else 0,
            metrics=opinion.metrics if opinion else INVALID,
            rule=RULE,
            config_version=self._config_version,
            created_ns=now_ns,
            valid_until_ns=now_ns + self._rule.validity_ns,
        )

    async def _refuse(self, signal: Signal, reason: str) -> None:
        self.tally.orders += 1
        self.tally.refused[reason] += 1
        await self._store.record_signal(signal, reason)
        await self._journal(Decision(signal, reason))

    async def _submit(self, signal: Signal, intent: OrderIntent, snapshot: bytes) -> None:
        refused = await self._executor.submit(intent, signal, snapshot)
        if refused:
            await self._refuse(signal, refused)
            return
        self.tally.orders += 1
        await self._journal(Decision(signal, Reason.ACCEPTED, intent))
        if self._paced:
            await self._executor.drain()

    async def _journal(self, decision: Decision) -> None:
        """Decisions are part of the journal, and their running hash is the run's fingerprint."""
        body = msgspec.json.encode(decision) + b"\n"
        self.tally.decisions.update(body)
        time_ns = decision.signal.created_ns
        await self._store.record_journal(JournalRecord("decision", time_ns, 0, 1, body))
