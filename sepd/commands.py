"""The operator's commands: one registry, reached by `sepd ctl` and by the API."""

from __future__ import annotations

from msgspec import Struct

from sepd.errors import InputError


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """A command's arguments; those a command does not know are ignored by it."""

    reason: str = ""
    flatten: bool = False


class Command(Struct, frozen=True):
    """What an operator may ask of the running daemon."""

    name: str
    help: str


COMMANDS = {
    command.name: command
    for command in (
        Command("pause", "Form no new signals; exits, stops and targets go on."),
        Command("resume", "Form signals again."),
        Command("flatten", "Close all trades at the market."),
        Command("kill", "Latch the kill switch: no entry leaves, waiting orders are cancelled."),
        Command("unkill", "Release the kill switch."),
        Command("orders", "Orders that are not at their end."),
        Command("positions", "Open trades."),
    )
}


def find_command(name: str) -> Command:
    """The command called `name`.

    Raises:
        InputError: there is none; the sentence lists them.
    """
    try:
        return COMMANDS[name]
    except KeyError:
        known = ", ".join(COMMANDS)
        raise InputError(f"There is no command {name[:40]!r}; there are {known}.") from None
