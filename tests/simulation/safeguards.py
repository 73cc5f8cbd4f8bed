"""The daemon's safeguards, each with what it takes to switch it off.

`OFF` maps a safeguard to substitutions: a dotted path into the product and what is put there.
"""

from __future__ import annotations

from decimal import Decimal
from pkgutil import resolve_name

import pytest

from tests.simulation.substitutes import (
    WIDE,
    Substitutions,
    all_but,
    apply_once,
    apply_twice,
    chained_to_none,
    durable_in_name,
    for_ever,
    forgiving,
    kill_and_forge,
    lines_patient,
    never_sent,
    no_hole,
    no_latch,
    no_throttle,
    nothing,
    only_counted,
    only_extra,
    patient,
    place_late,
    ready_of_any,
    recover_blindly,
    send_again,
    supervise_once,
    take_all,
    take_any,
    timed,
    unlimited,
    unruled,
    verified_late,
    without,
)


def switch_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take one safeguard away for the length of a test."""
    for path, value in OFF[name].items():
        place, _, attribute = path.rpartition(".")
        monkeypatch.setattr(resolve_name(place), attribute, value)


OFF: dict[str, Substitutions] = {
    # before an order leaves
    "intent is committed before it is sent": {
        "sepd.execution.executor.make_durable": durable_in_name
    },
    "an entry that expired is not sent": {
        "sepd.execution.executor.verify": verified_late,
        "sepd.broker.oanda.client.OandaBroker.place": place_late,
    },
    "no entry is decided while killed": unruled("switches"),
    "the kill switch survives a restart": {"sepd.simulation.store.StoreLink.record_kill": no_latch},
    "only the leader sends": {
        "sepd.trading.Trading._fence": lambda *_: "",
        "sepd.simulation.lease.Lease.run": for_ever,
        "sepd.simulation.store.StoreLink._hold_epoch": nothing,
    },
    "a write is never repeated by the HTTP client": {
        "sepd.broker.oanda.exchange.Exchange.send": send_again
    },
    # what an order carries
    "every entry has a stop on fill": {
        "sepd.broker.oanda.requests.order_body": without("stopLossOnFill")
    },
    "every entry has a price bound": {
        "sepd.broker.oanda.requests.order_body": without("priceBound")
    },
    "every entry has a client trade id": {
        "sepd.broker.oanda.requests.order_body": without("tradeClientExtensions")
    },
    # what becomes of an order
    "an ambiguous outcome is not taken for a refusal": {
        "sepd.execution.machine._outcome": never_sent
    },
    "absence counts only after a quiet window": {
        "sepd.execution.executor.Executor.__init__": timed(quiet_window_s=0.0)
    },
    "orders of a dead process are resolved": {"sepd.execution.executor.Executor.adopt": nothing},
    "an intent under way counts as held": {
        "sepd.risk.book.Book.reserve": nothing,
    },
    "every request has a deadline": patient(WIDE),
    # the account's record
    "transactions are applied in order, without a hole": {
        "sepd.feed.transactions.TransactionFeed._take": take_any,
        "sepd.execution.sequencer.Sequencer.ready": ready_of_any,
    },
    "what the store does not take is tried again": {
        "sepd.execution.transactions.Transactions._apply": apply_once
    },
    "no transaction is applied twice": {
        "sepd.simulation.store.Content.apply_account_events": apply_twice
    },
    "recovery applies what was missed": {"sepd.node.recover": recover_blindly},
    # prices
    "an interruption is repaired": {
        "sepd.feed.producer.Producer.judge": take_all,
        "sepd.feed.prices.PriceFeed._due_ns": 1 << 62,
    },
    "an unreadable price line ends the stream": {
        "sepd.broker.oanda.stream.PriceLines.__init__": forgiving
    },
    "a full queue leaves a gap": {"sepd.feed.queue._hole": no_hole},
    "a gap leaves no candle": {"sepd.market.coverage.Coverage.lose": nothing},
    "a silent stream is dead": lines_patient(WIDE),
    "a broken stream is connected again": {
        "sepd.node.supervise": supervise_once,
        "sepd.trading.supervise": supervise_once,
    },
    # limits
    "one position per pair": unruled("positions"),
    "units of an order": unlimited(max_units=Decimal(WIDE)),
    "notional of an order": unlimited(max_notional=Decimal(WIDE)),
    "gross exposure": unlimited(max_gross_leverage=Decimal(WIDE)),
    "exposure per currency, and net": unlimited(
        max_currency_leverage=Decimal(WIDE), max_net_leverage=Decimal(WIDE)
    ),
    "margin": unlimited(max_margin_use=Decimal(WIDE)),
    "daily loss": unlimited(max_daily_loss=Decimal(WIDE)),
    "drawdown": unlimited(max_drawdown=Decimal(WIDE)),
    "losses in a row": unlimited(max_loss_streak=WIDE),
    "orders in a minute": unlimited(max_orders_per_minute=WIDE),
    "fills in an hour": {"sepd.risk.book.Book._count_fill": nothing},
    "a restart releases no limit of pace": {"sepd.risk.book.Book._go_on": nothing},
    "clock skew": unlimited(max_clock_skew_s=Decimal(WIDE)),
    # several positions
    "gross exposure of several positions": unlimited(max_gross_leverage=Decimal(WIDE)),
    "net exposure of several positions": unlimited(max_net_leverage=Decimal(WIDE)),
    "exposure per currency": unlimited(max_currency_leverage=Decimal(WIDE)),
    "margin of several positions": unlimited(max_margin_use=Decimal(WIDE)),
    "positions of all pairs": unlimited(max_positions=WIDE),
    "positions that move together": unlimited(max_correlated=WIDE),
    "an intent under way counts beside other pairs": {"sepd.risk.book.Book.reserve": only_counted},
    "other positions count as exposure": {"sepd.risk.exposure.holdings": only_extra},
    # the audit log
    "an audit row is chained to the one before": {"sepd.storage.memory.chained": chained_to_none},
    "every change leaves an audit row": {
        "sepd.simulation.store.Content._chain": all_but("order_state")
    },
    "no audit row is altered": {"sepd.simulation.store.Content.record_kill": kill_and_forge},
    # life
    "connections are throttled": {"sepd.broker.oanda.limits.Throttle.acquire": no_throttle},
    "a stop waits for nobody for ever": {
        "sepd.drain.SETTLE_S": float(WIDE),
        "sepd.drain.WRITE_S": float(WIDE),
    },
}

ACROSS: frozenset[str] = frozenset(
    {
        "gross exposure of several positions",
        "net exposure of several positions",
        "exposure per currency",
        "margin of several positions",
        "positions of all pairs",
        "positions that move together",
        "an intent under way counts beside other pairs",
        "other positions count as exposure",
    }
)
"""Safeguards that only several pairs need: their seeds play two tapes."""

CAUGHT_AT: dict[str, int] = {
    "intent is committed before it is sent": 0,
    "an entry that expired is not sent": 25,
    "no entry is decided while killed": 9,
    "the kill switch survives a restart": 52,
    "only the leader sends": 30,
    "a write is never repeated by the HTTP client": 1,
    "every entry has a stop on fill": 0,
    "every entry has a price bound": 0,
    "every entry has a client trade id": 0,
    "an ambiguous outcome is not taken for a refusal": 1,
    "absence counts only after a quiet window": 1,
    "orders of a dead process are resolved": 0,
    "an intent under way counts as held": 0,
    "every request has a deadline": 4,
    "transactions are applied in order, without a hole": 109,
    "recovery applies what was missed": 0,
    "an interruption is repaired": 0,
    "an unreadable price line ends the stream": 0,
    "a full queue leaves a gap": 15,
    "a gap leaves no candle": 15,
    "a silent stream is dead": 4,
    "a broken stream is connected again": 1,
    "one position per pair": 25,
    "units of an order": 22,
    "notional of an order": 46,
    "gross exposure": 62,
    "exposure per currency, and net": 69,
    "margin": 32,
    "daily loss": 250,
    "drawdown": 77,
    "losses in a row": 40,
    "orders in a minute": 71,
    "fills in an hour": 78,
    "a restart releases no limit of pace": 40,
    "clock skew": 63,
    "connections are throttled": 0,
    "what the store does not take is tried again": 57,
    "no transaction is applied twice": 0,
    "a stop waits for nobody for ever": 133,
    "gross exposure of several positions": 28,
    "net exposure of several positions": 77,
    "exposure per currency": 17,
    "margin of several positions": 170,
    "positions of all pairs": 146,
    "positions that move together": 20,
    "an intent under way counts beside other pairs": 17,
    "other positions count as exposure": 17,
    "an audit row is chained to the one before": 0,
    "every change leaves an audit row": 0,
    "no audit row is altered": 9,
}
"""The first seed that catches it; of several positions, the first one whose limit they pass."""
