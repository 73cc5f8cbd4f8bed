"""Safeguards of execution, and what takes each of them out."""

from __future__ import annotations

from tests.support.sabotage import Sabotage

SABOTAGES = (
    Sabotage(
        "events apply twice",
        "execution/sequencer.py",
        "if number > self.applied and number not in self._held:",
        "if True:",
    ),
    Sabotage(
        "events apply out of order",
        "execution/sequencer.py",
        "if number > last + 1 and number > self._complete_to:",
        "if False:",
    ),
    Sabotage(
        "no quiet window",
        "execution/machine.py",
        "    if not order.quiet and order.intent.purpose is Purpose.ENTRY:\n"
        "        return order, (Wait(),)\n",
        "",
    ),
    Sabotage(
        "doubt blocks nothing",
        "execution/machine.py",
        "(Record(), Block(), Scan(order.intent.checkpoint))",
        "(Record(), Scan(order.intent.checkpoint))",
    ),
    Sabotage(
        "doubt is not looked into",
        "execution/machine.py",
        "(Record(), Block(), Scan(order.intent.checkpoint))",
        "(Record(), Block())",
    ),
    Sabotage(
        "doubt sends again",
        "execution/machine.py",
        "(Record(), Block(), Scan(order.intent.checkpoint))",
        "(Record(), Block(), Scan(order.intent.checkpoint), Send())",
    ),
    Sabotage(
        "a row moves an order twice",
        "execution/machine.py",
        " or event.transaction_id <= order.seen",
        "",
    ),
    Sabotage(
        "a block stays for ever",
        "execution/machine.py",
        "(*_given_up(order), Unblock())",
        "_given_up(order)",
    ),
    Sabotage(
        "an exit is given up",
        "execution/machine.py",
        "return Record(), Repeat()",
        "return Record(), Release()",
    ),
    Sabotage(
        "an entry is sent again",
        "execution/machine.py",
        "return _ended(order, OrderState.EXPIRED, reason), _given_up(order)",
        "return replace(order, state=OrderState.INTENT), (Verify(),)",
    ),
    Sabotage(
        "recovery trusts what it finds",
        "execution/machine.py",
        "if order.state in UNDECIDED:",
        "if order.state is OrderState.UNKNOWN:",
    ),
    Sabotage(
        "recovered orders are no exposure",
        "execution/executor.py",
        "self._ledger.reserve(order.intent)\n            if",
        "pass\n            if",
    ),
    Sabotage(
        "recovered orders block nothing until they are looked into",
        "execution/executor.py",
        "if order.state in UNDECIDED:",
        "if False:",
    ),
    Sabotage(
        "what a reply left out is not fetched",
        "execution/executor.py",
        "self.note(outcome.last_transaction_id)",
        "pass",
    ),
    Sabotage(
        "an intent is taken twice",
        "execution/executor.py",
        'return "duplicate_intent"',
        "pass",
    ),
    Sabotage(
        "the queue has no end",
        "execution/executor.py",
        'return "queue_full"',
        "pass",
    ),
    Sabotage(
        "a trade has two exits at a time",
        "execution/executor.py",
        'return "exit_pending"',
        "pass",
    ),
    Sabotage(
        "an exit outlives its trade",
        "execution/machine.py",
        "case OrderFilled() if _overtaken(order, event):",
        "case OrderFilled() if False:",
    ),
    Sabotage(
        "exits wait behind entries",
        "execution/executor.py",
        "(self._leaving if leaving else self._entries).put(intent.id)",
        "self._entries.put(intent.id)",
    ),
    Sabotage(
        "a stored intent is sent again",
        "execution/durable.py",
        'return NotCommitted("duplicate_intent")',
        "return Committed()",
    ),
    Sabotage(
        "an entry leaves without the commit",
        "execution/durable.py",
        "return _keep(exits, job)",
        "return Committed()",
    ),
    Sabotage(
        "an entry leaves after its expiry",
        "execution/durable.py",
        "if entry and late:",
        "if False:",
    ),
    Sabotage(
        "a clock that is stepped back puts off an expiry",
        "execution/durable.py",
        " or clock.monotonic_ns() >= job.until_ns",
        "",
    ),
    Sabotage(
        "an entry leaves after the kill",
        "execution/durable.py",
        "elif entry and killed:",
        "elif False:",
    ),
    Sabotage(
        "who does not lead sends",
        "execution/durable.py",
        "reason = fence(intent)",
        'reason = ""',
    ),
    Sabotage(
        "the exit file is not kept",
        "execution/durable.py",
        "exits.append(ExitRecord(job.intent, job.signal, job.snapshot.decode()))",
        "pass",
    ),
    Sabotage(
        "recovery skips what was missed",
        "execution/reconcile.py",
        "await store.apply_account_events(broker.account_id, batch)",
        "pass",
    ),
    Sabotage(
        "what an unanswered commit left stays undecided",
        "execution/reconcile.py",
        "await executor.settle(_unfinished(state))",
        "False",
    ),
    Sabotage(
        "money may differ",
        "execution/reconcile.py",
        "elif here != there:",
        "elif False:",
    ),
    Sabotage(
        "a kill is forgotten",
        "execution/operator.py",
        "lambda: desk.store.record_kill(account_id, reason)",
        'lambda: desk.store.record_kill(account_id, "")',
    ),
)
