"""What must hold at every step, checked against the venue's own books.

The watcher looks at what every process writes to the broker, at every commit, at every
transaction, at what is open, and at what store and process believe. It shares no code with what
it checks beyond the parsing of values.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from decimal import Decimal
from typing import Any

import msgspec

from sepd.domain.market import Candle
from sepd.domain.order import OrderIntent, Purpose
from sepd.settings import Settings
from sepd.simulation.agreement import Agreement
from sepd.simulation.chain import Chain
from sepd.simulation.entries import Entries, Entry
from sepd.simulation.evidence import Truth, Violation, describe
from sepd.simulation.holdings import excessive, unprotected
from sepd.simulation.market import ACCOUNT, PORT, Market
from sepd.simulation.pipe import Pipe
from sepd.simulation.prices import BASE
from sepd.simulation.process import Process
from sepd.simulation.record import Opened, Record
from sepd.simulation.store import Database
from sepd.simulation.trace import Trace
from sepd.venue.ledger import Row

CONNECTIONS = 3
QUIET_S = 15.0
"""A request that lives longer may be taken for lost."""
_S = 1_000_000_000
_CLOSE = re.compile(rb"^PUT /v3/accounts/[^/]+/trades/(\d+)/close ")
_SKEW_NS = 3 * _S


class Watcher:
    """Checks as the simulation goes on; `violations` is what it found."""

    def __init__(
        self, market: Market, database: Database, settings: Settings, truth: Truth, trace: Trace
    ) -> None:
        self.violations: list[Violation] = []
        self.processes: list[Process] = []
        self.orders = 0
        self._market = market
        self._content = database.content
        self._settings = settings
        self._trace = trace
        self._truth = truth
        self._ledger = market.account.ledger
        self._rows = 0
        self._record = Record(Decimal(0))
        self._late: set[str] = set()
        self._entries = Entries(self._record, truth, settings.risk, self._late)
        self._agreement = Agreement(
            market.account, database.content, self._record, trace, self.violated
        )
        self._chain = Chain(database.content, self.violated)
        self._killed = False
        self._kept: dict[str, int | None] = {}
        self._dialled: dict[str, deque[float]] = {}
        self._lock = database.lock
        self._created: Counter[str] = Counter()
        self._closes: Counter[int] = Counter()
        self._written: dict[str, float] = {}
        self._closed: Counter[int] = Counter()
        self._intents: dict[str, tuple[OrderIntent, bytes]] = {}

    def violated(self, rule: str, what: str) -> None:
        """Note a violation."""
        self.violations.append(Violation(rule, what, round(self._trace.now_s, 4)))
        self._trace.note(f"VIOLATION {rule}: {what}")

    def step(self) -> None:
        """Look at everything that has changed since the last step."""
        if self._rows != self._ledger.last_id:
            for row in self._ledger.rows[self._rows :]:
                self._on_row(row)
            self._rows = self._ledger.last_id
            self._check_holdings()
        if len(self._content.intents) != len(self._intents):
            self._on_intents()
        if self._content.fresh:
            for candle in self._content.fresh:
                if candle.granularity is BASE:
                    self._check_candle(candle)
            self._content.fresh.clear()
        self._agreement.step()
        self._chain.step()

    def started(self, process: Process) -> None:
        """A process starts; its belief is looked at while it lives."""
        self.processes.append(process)
        self._agreement.started(process)

    def switched(self, killed: bool) -> None:
        """The operator was told that the kill switch is latched, or asks to release it."""
        self._trace.note("killed" if killed else "unkill")
        self._killed = killed
        if not killed:
            self._record.unlatched = self._ledger.last_id

    def on_dial(self, owner: str) -> None:
        """A process opens a connection; the broker allows two in a second."""
        now_s = self._trace.now_s
        dialled = self._dialled.setdefault(owner, deque(maxlen=CONNECTIONS + 1))
        dialled.append(now_s)
        if len(dialled) > CONNECTIONS and now_s - dialled[0] < 1.0:
            self.violated("connections", f"{owner} opens {len(dialled)} within a second")

    def on_write(self, pipe: Pipe, data: bytes) -> None:
        """A process writes to the network."""
        if pipe.port != PORT or not pipe.client or data[:1] != b"P":
            return
        close = _CLOSE.match(data)
        if self._lock.leader != pipe.owner:
            self.violated("one_sender", f"{pipe.owner} sends, {self._lock.leader} leads")
        if close:
            self._on_close(int(close[1]))
        elif data.startswith(b"POST ") and b"/orders " in data[:200]:
            self._on_order(msgspec.json.decode(data[data.index(b"\r\n\r\n") + 4 :])["order"])

    def _on_close(self, trade_id: int) -> None:
        self._trace.note(f"sends close of trade {trade_id}")
        self._closed[trade_id] += 1
        meant = self._exits_of(trade_id)
        if self._closed[trade_id] > meant:
            self.violated(
                "one_send_per_intent",
                f"trade {trade_id} is closed {self._closed[trade_id]} times for {meant} intents",
            )

    def _on_order(self, order: dict[str, Any]) -> None:
        name = order.get("clientExtensions", {}).get("id", "")
        self._trace.note(f"sends order {name} {order['units']}")
        if name in self._written:
            self.violated("one_send_per_intent", f"order {name} is sent again")
        self._written[name] = self._trace.now_s
        known = self._content.intents.get(name)
        if known is None:
            self.violated("intent_before_send", f"order {name} has no committed intent")
            return
        intent = known[0]
        if intent.purpose is Purpose.ENTRY:
            self._check_entry(intent, order)

    def _check_entry(self, intent: OrderIntent, order: dict[str, Any]) -> None:
        now_ns = self._market.conductor.clock.now_ns()
        if now_ns >= intent.expires_ns + _SKEW_NS:
            late_s = (now_ns - intent.expires_ns) / _S
            self.violated("no_expired_entry", f"{intent.id} leaves {late_s:.2f} s after its expiry")
        quoted_ns = msgspec.json.decode(self._content.intents[intent.id][1])["quote"]["time_ns"]
        limit_ns = int(self._settings.risk.max_quote_age_s * _S) + BASE.ns + _SKEW_NS
        if now_ns - quoted_ns > limit_ns:
            age_s = (now_ns - quoted_ns) / _S
            self.violated("no_stale_entry", f"{intent.id} rests on a price {age_s:.1f} s old")
        if self._killed:
            self.violated("no_entry_while_killed", f"{intent.id} leaves although killed")
        if Decimal(order["units"]) != intent.units:
            self.violated("intent_is_order", f"{intent.id} asks for {order['units']} units")
        for key in ("priceBound", "stopLossOnFill", "tradeClientExtensions"):
            if key not in order:
                self.violated("entry_is_protected", f"{intent.id} leaves without {key}")

    def kept(self, intent: OrderIntent) -> None:
        """An exit is kept in a machine's file while the database cannot take it."""
        self._trace.note(f"keeps {intent.purpose} {intent.id} {intent.units}")
        self._kept[intent.id] = intent.trade_id

    def _exits_of(self, trade_id: int) -> int:
        """How many intents mean to close the trade."""
        known = {name: intent.trade_id for name, (intent, _) in self._content.intents.items()}
        return sum(meant == trade_id for meant in (self._kept | known).values())

    def _on_intents(self) -> None:
        for name, known in self._content.intents.items():
            if name not in self._intents:
                self._intents[name] = known
                intent = known[0]
                self._trace.note(f"commits {intent.purpose} {name} {intent.units}")
                if intent.purpose is Purpose.ENTRY:
                    self._check_grounds(intent, known[1])

    def _check_grounds(self, intent: OrderIntent, snapshot: bytes) -> None:
        """What an entry was decided on: a recorded, fresh price, the right time, the limits."""
        seen = msgspec.json.decode(snapshot)
        quote = seen["quote"]
        known = quote["time_ns"], quote["bid"], quote["ask"]
        if not self._truth.holds(intent.instrument, known):
            self.violated("only_recorded_prices", f"{intent.id} rests on {quote}")
        if intent.stop_loss is None or intent.price_bound is None:
            self.violated("entry_is_protected", f"{intent.id} has no stop or bound")
        if self._killed:
            self.violated("no_entry_while_killed", f"{intent.id} is committed although killed")
        self._check_limits(intent, quote["ask"])

    def _check_limits(self, intent: OrderIntent, ask: int) -> None:
        owner, now_ns = self._lock.leader, self._market.conductor.clock.now_ns()
        price = ask * self._truth.pairs[intent.instrument].point
        released = self._content.books(ACCOUNT).released
        self._record.unlatched = max(self._record.unlatched, released)
        for what in self._entries.committed(Entry(intent, price, now_ns)):
            self.violated("limits", what)
        for process in self.processes:
            if process.owner == owner and process.wrong_clock(intent.created_ns):
                self.violated("no_entry_on_wrong_clock", f"{intent.id} is decided on it")

    def _on_row(self, row: Row) -> None:
        self._trace.note(f"broker {describe(row)}")
        self._record.add(row, self._ledger.times[int(row["id"]) - 1])
        kind, reason = row["type"], row.get("reason", "")
        if kind in {"MARKET_ORDER", "MARKET_ORDER_REJECT"}:
            self.orders += 1
            if reason == "TRADE_CLOSE":
                self._count_close(row)
            elif reason == "CLIENT_ORDER":
                self._count_order(row.get("clientExtensions", {}).get("id", ""))
            else:
                self.violated("only_our_orders", f"row {row['id']} is a {kind} for {reason}")
        if kind == "ORDER_FILL" and reason == "MARKET_ORDER_MARGIN_CLOSEOUT":
            self.violated("exposure", "the broker closed the account's positions for margin")
        if "tradeOpened" in row:
            self._on_opened(self._record.fills[-1])

    def _on_opened(self, trade: Opened) -> None:
        """An entry is filled; is it counted, and beside which others has it been under way?"""
        owner, now_s = self._lock.leader, self._trace.now_s
        books = [item.book for item in self.processes if item.owner == owner and item.alive]
        book = books[0] if books else None
        if book is None or trade.name not in book.pending:
            if now_s - self._written.get(trade.name, now_s) > QUIET_S:
                self._late.add(trade.name)
            elif book is not None:
                self.violated("under_way_is_counted", f"{owner} has forgotten {trade.name}")
        for what in self._entries.filled(trade):
            self.violated("limits", what)

    def _count_order(self, name: str) -> None:
        self._created[name] += 1
        if self._created[name] > 1:
            self.violated("one_order_per_intent", f"{name} is at the broker twice")
        if name not in self._content.intents:
            self.violated("intent_before_send", f"the broker has {name}, the store has not")

    def _count_close(self, row: Row) -> None:
        if "tradeClose" not in row:
            return
        trade_id = int(row["tradeClose"]["tradeID"])
        self._closes[trade_id] += 1
        if self._closes[trade_id] > self._exits_of(trade_id):
            self.violated("one_order_per_intent", f"trade {trade_id} is closed without an intent")

    def _check_holdings(self) -> None:
        """Exposure within the limits, and every open trade with a stop, at this instant."""
        for what in unprotected(self._market.account):
            self.violated("every_trade_has_a_stop", what)
        for what in excessive(self._market.account, self._settings.risk, self._late):
            self.violated("exposure", what)

    def _check_candle(self, candle: Candle) -> None:
        mine = (candle.bid_open, candle.bid_high, candle.bid_low, candle.bid_close)
        true = self._truth.candle(candle)
        if mine != true:
            self.violated(
                "only_whole_candles",
                f"the candle of {candle.instrument} at {candle.time_ns} is {mine}, truly {true}",
            )

    def finish(self) -> None:
        """What was committed is still there, unchanged."""
        self.step()
        self._chain.finish()
        for name, known in self._intents.items():
            if self._content.intents.get(name) != known:
                self.violated("nothing_committed_is_lost", f"intent {name} is gone or changed")
