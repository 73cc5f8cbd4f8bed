"""What each operator command does to the running daemon."""

from __future__ import annotations

from msgspec import to_builtins

from sepd.commands import Request
from sepd.domain.time import format_time
from sepd.errors import InputError
from sepd.execution.operator import Desk, close_trades, kill, unkill
from sepd.pipeline import Pipeline
from sepd.risk.book import Book


class Operator:
    """Carries out the commands of `sepd.commands`."""

    def __init__(self, desk: Desk, pipeline: Pipeline, book: Book) -> None:
        self._desk = desk
        self._pipeline = pipeline
        self._book = book

    async def run(self, name: str, request: Request) -> object:
        """The answer: a sentence, or rows.

        Raises:
            InputError: `kill` without a reason.
            TransientError: the database is away.
        """
        match name:
            case "pause" | "resume":
                self._pipeline.paused = name == "pause"
                return "No new signals." if self._pipeline.paused else "Signals are formed again."
            case "flatten":
                count = await close_trades(self._desk, tuple(self._book.trades.values()), name)
                return f"{count} trades are being closed."
            case "kill":
                if not request.reason:
                    raise InputError("A kill needs a reason.")
                await kill(self._desk, request.reason, flatten=request.flatten)
                return "Killed: no entry leaves until unkill."
            case "unkill":
                await unkill(self._desk)
                return "The kill switch is released."
            case "orders":
                return [_row(order) for order in self._desk.executor.orders]
            case _:
                return [_row(trade) for trade in self._book.trades.values()]


def _row(value: object) -> dict[str, object]:
    """A value as texts for people; instants are RFC 3339."""
    fields: dict[str, object] = to_builtins(value)
    if "intent" in fields:
        intent = fields.pop("intent")
        fields |= {k: v for k, v in dict(intent).items() if k in {"id", "instrument", "purpose"}}  # type: ignore[call-overload]
    if isinstance(opened := fields.pop("opened_ns", None), int):
        fields["opened_at"] = format_time(opened)
    return {key: value for key, value in fields.items() if value not in (None, "", [])}
