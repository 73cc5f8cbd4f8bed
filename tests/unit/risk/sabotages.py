"""Safeguards of risk, and what takes each of them out."""

from __future__ import annotations

from tests.support.sabotage import RISK, Sabotage

ALL_SIZE_RULES = "(units, stop, exposure, losses)"

SABOTAGES = (
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
