"""The tests notice when a safeguard is taken out: each is, one by one, in a copy of the code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import Struct

import sepd

ROOT = Path(sepd.__file__).parent.parent
EXECUTION = "tests/unit/execution"
RISK = "tests/unit/risk"
ALL_SIZE_RULES = "(units, stop, exposure, losses)"


class Sabotage(Struct, frozen=True):
    """In `file`, `good` becomes `bad`; tests in `tests` must fail."""

    what: str
    file: str
    good: str
    bad: str
    tests: str = EXECUTION


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
    *(
        Sabotage(f"rule {rule}", "risk/standing_rules.py", f"    {rule},\n", "", RISK)
        for rule in (
            "switches",
            "validity",
            "clock",
            "hours",
            "price",
            "collar",
            "pace",
            "protection",
            "positions",
            "company",
        )
    ),
    *(
        Sabotage(f"without rule {rule}", "risk/size_rules.py", ALL_SIZE_RULES, left, RISK)
        for rule, left in {
            "units": "(stop, exposure, losses)",
            "stop": "(units, exposure, losses)",
            "exposure": "(units, stop, losses)",
            "losses": "(units, stop, exposure)",
        }.items()
    ),
    Sabotage(
        "intents under way are no exposure",
        "risk/exposure.py",
        "        if intent.purpose is Purpose.ENTRY:\n            yield",
        "        if False:\n            yield",
        RISK,
    ),
    Sabotage(
        "a loss is counted to the stop price alone",
        "risk/gate.py",
        "worst = int(stop * _slip(at)) + bound",
        "worst = int(stop * _slip(at))",
        RISK,
    ),
    Sabotage(
        "conversions take the cheap side",
        "risk/exposure.py",
        "return found[1] if found else None",
        "return found[0] if found else None",
        RISK,
    ),
    Sabotage(
        "a restart ends the pause after losses",
        "risk/book.py",
        "self.loss_streak, self.last_loss_ns = recent.loss_streak, recent.last_loss_ns",
        "",
        RISK,
    ),
    Sabotage(
        "a restart ends the minute of orders",
        "risk/book.py",
        "self.sent_ns.extend(recent.sent_ns)",
        "",
        RISK,
    ),
    Sabotage(
        "a restart releases what was latched off",
        "risk/book.py",
        "for fill in recent.fills:",
        "for fill in ():",
        RISK,
    ),
    Sabotage(
        "a restart takes back the operator's release",
        "risk/book.py",
        "latches = fill.trade_id > recent.released",
        "latches = True",
        RISK,
    ),
    Sabotage(
        "how pairs move together is not measured again",
        "decide.py",
        "        if self._closes.add(candles):\n",
        "        if False:\n",
        RISK,
    ),
    Sabotage(
        "a few returns measure how pairs move together",
        "risk/correlation.py",
        "max(fewest, 2)",
        "2",
        RISK,
    ),
    Sabotage(
        "a fill counts twice in the book",
        "risk/book.py",
        "if event.transaction_id <= self.last_transaction_id:",
        "if False:",
        RISK,
    ),
)


def run_copy(tests: str, folder: Path, sabotage: Sabotage | None) -> tuple[int, str]:
    """Exit code and output of `tests` in a copy of the code, sabotaged or not."""
    shutil.copytree(ROOT / "sepd", folder / "sepd")
    shutil.copytree(ROOT / "tests" / "support", folder / "tests" / "support")
    skip = shutil.ignore_patterns("test_sabotage.py", "__pycache__")
    shutil.copytree(ROOT / tests, folder / tests, ignore=skip)
    for name in ("pyproject.toml", "config", "migrations"):
        (folder / name).symlink_to(ROOT / name)
    if sabotage:
        file = folder / "sepd" / sabotage.file
        source = file.read_text()
        assert sabotage.good in source, "the safeguard has moved: say where it is"
        file.write_text(source.replace(sabotage.good, sabotage.bad))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", tests],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout[-500:]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("tests", [EXECUTION, RISK])
def test_the_copy_itself_is_good(tests: str, tmp_path: Path) -> None:
    code, output = run_copy(tests, tmp_path, None)
    assert code == 0, output


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda one: one.what.replace(" ", "_"))
def test_a_missing_safeguard_is_noticed(sabotage: Sabotage, tmp_path: Path) -> None:
    code, output = run_copy(sabotage.tests, tmp_path, sabotage)
    assert code == 1, f"nothing failed: {output}"
