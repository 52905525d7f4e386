"""The entry point: finds the command, and turns every error into one sentence and a status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import click

from holdfast.cli.failure import BUSY, INTERRUPTED, LOST, OTHER, USAGE, Failure, complain
from holdfast.cli.words import shown_as_is
from holdfast.errors import HoldfastError, LockBusy, LockLost

__all__ = ["COMMANDS", "Commands", "Entry", "cli", "main"]


class Entry(NamedTuple):
    """Where a command lives (``module:attribute``), and what ``holdfast --help`` says of it."""

    target: str
    help: str


COMMANDS = {
    "run": Entry("holdfast.cli.run:run", "Run a command while holding locks."),
    "ls": Entry("holdfast.cli.ls:ls", "List who holds and who awaits which names."),
    "who": Entry("holdfast.cli.who:who", "Show who holds and who awaits one name."),
    "break": Entry("holdfast.cli.break_:break_", "Take a lock from a holder that is known dead."),
    "doctor": Entry("holdfast.cli.doctor:doctor", "Test what a lockspace can promise here."),
    "completion": Entry("holdfast.cli.completion:completion", "Print the shell's completion."),
}
"""Every command of ``holdfast``, in the order of ``--help``. A later part adds one line."""


class Commands(click.Group):
    """The commands of a table; only the one that is used is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's face
        """All names; nothing is imported for it."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's face
        cmd_name: str,
    ) -> click.Command | None:
        """Import the command of that name; None if there is none."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's face
        formatter: click.HelpFormatter,
    ) -> None:
        """The table's own sentences: ``--help`` need not import every part of holdfast."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=shown_as_is("""
    Examples:
      holdfast run disk-7 -- qemu-img convert a.raw b.qcow2
      holdfast run --timeout 5 vm-1 net-2 -- ./reconfigure
      holdfast ls --watch
      holdfast who disk-7
    """),
)
@click.version_option(package_name="holdfast", message="%(prog)s %(version)s")
def cli() -> None:
    """One lock manager for everything that a host must not do twice.

    The lockspace is --space, else $HOLDFAST_SPACE, else file:///run/holdfast.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit status."""
    status = _run(args)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()  # a reader that has gone, or a full disk, shows here at the latest
    except OSError as error:
        status = _nowhere_to_print(error)
    return status


def _run(args: Sequence[str] | None) -> int:
    try:
        status = cli.main(args=args, prog_name="holdfast", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except BrokenPipeError as error:
        return _nowhere_to_print(error)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception as error:
        return _explain(error)


def _nowhere_to_print(error: OSError) -> int:
    """Nothing may be written any more, at exit neither; only a broken pipe needs no explanation."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return OTHER if isinstance(error, BrokenPipeError) else complain(f"cannot print: {error}")


def _explain(error: Exception) -> int:
    """Say what happened in one sentence; the exit status for it."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.format_message(), file=sys.stderr)
        return USAGE
    if isinstance(error, click.UsageError):
        return complain(f"{_first_small(error.format_message())} {_where_help_is(error)}", USAGE)
    if isinstance(error, click.ClickException):
        return complain(
            error.format_message(), error.status if isinstance(error, Failure) else OTHER
        )
    if isinstance(error, LockBusy):
        return complain(str(error), BUSY)
    if isinstance(error, LockLost):
        return complain(str(error), LOST)
    if isinstance(error, ValueError):  # BadName, and modes that contradict each other
        return complain(str(error), USAGE)
    if isinstance(error, HoldfastError | OSError):
        return complain(str(error), OTHER)
    return _bug(error)


def _where_help_is(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx else "holdfast"
    return f"(see `{path} --help`)"


def _first_small(sentence: str) -> str:
    """Click writes ``No such option``; after ``holdfast:`` it goes on in small letters."""
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _bug(error: Exception) -> int:
    """Something that nobody foresaw: the traceback is for those who ask for it."""
    if os.environ.get("HOLDFAST_DEBUG"):
        raise error
    kind = type(error).__name__
    return complain(
        f"internal error, please report it: {kind}: {error} (HOLDFAST_DEBUG=1 shows where)", OTHER
    )
