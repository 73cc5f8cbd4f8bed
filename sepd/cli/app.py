"""The `sepd` command: every group mounted, every error a sentence and an exit status.

0 good; 1 the answer is bad, or a fault that may pass; 2 usage or refused input; 78 configuration.
"""

from __future__ import annotations

import typer

from sepd.cli import bench, ctl, data, db, demo, doctor, simulate, status, venue
from sepd.cli import replay as replay_command
from sepd.cli import run as run_command
from sepd.errors import ConfigError, InputError, SepdError
from sepd.log import redact_text

EXIT_BAD = 1
EXIT_USAGE = 2
EXIT_CONFIG = 78

app = typer.Typer(
    name="sepd",
    help="Event-driven FX trading daemon for OANDA v20 accounts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("run")(run_command.run)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("venue")(venue.venue)
app.command("simulate")(simulate.simulate)
app.command("replay")(replay_command.replay)
app.command("explain")(replay_command.explain)
app.add_typer(bench.app, name="bench")
app.add_typer(ctl.app, name="ctl")
app.add_typer(data.app, name="data")
app.add_typer(db.app, name="db")


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    command = typer.main.get_command(app)
    try:
        command.main(args=arguments, prog_name="sepd")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else EXIT_USAGE
    except SepdError as error:
        return _explain(error)
    except BaseExceptionGroup as group:
        named = group.subgroup(SepdError)
        if named is None:
            raise
        return _explain(_first(named))
    except KeyboardInterrupt:
        return 130
    return 0


def _explain(error: SepdError) -> int:
    typer.echo(f"sepd: {redact_text(str(error))}", err=True)
    return exit_status(error)


def _first(group: BaseExceptionGroup[SepdError]) -> SepdError:
    """The first error of ours in a group of tasks that ended together."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def exit_status(error: SepdError) -> int:
    """The status that the error calls for."""
    if isinstance(error, ConfigError):
        return EXIT_CONFIG
    return EXIT_USAGE if isinstance(error, InputError) else EXIT_BAD
