"""``holdfast run``: a command that runs while locks are held."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import click

from holdfast.cli.child import find, fork
from holdfast.cli.keeper import Keeper, OnLost, block_signals
from holdfast.cli.space import complete_name, open_space, space_option
from holdfast.cli.words import shown_as_is

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from holdfast import Grant, Lockspace

__all__ = ["RunCommand", "run"]


class RunCommand(click.Command):
    """A command whose last argument is another command, after the first ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Cut the line at the first ``--``; click sees what stands before it."""
        at = args.index("--") if "--" in args else len(args)
        rest = super().parse_args(ctx, args[:at])
        ctx.params["command"] = command = tuple(args[at + 1 :])
        ctx.meta["holdfast.in_command"] = at < len(args)
        if not command and not ctx.resilient_parsing:
            raise click.UsageError("the command is missing: give it after `--`", ctx)
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line: OPTIONS NAME... -- COMMAND..."""
        return [*super().collect_usage_pieces(ctx), "--", "COMMAND..."]


def _complete(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Names before ``--``; behind it programs, then files."""
    from click.shell_completion import CompletionItem

    if not ctx.meta.get("holdfast.in_command"):
        return complete_name(ctx, param, incomplete)
    if ctx.params.get("command") or "/" in incomplete:
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(each) for each in _programs(incomplete)]


def _programs(prefix: str) -> list[str]:
    found: set[str] = set()
    for folder in os.get_exec_path():
        try:
            found.update(each for each in os.listdir(folder) if each.startswith(prefix))
        except OSError:
            continue  # PATH may name what is not there
    return sorted(found)


@click.command(
    "run",
    cls=RunCommand,
    epilog=shown_as_is("""
    Examples:
      holdfast run disk-7 -- qemu-img convert a.raw b.qcow2
      holdfast run --timeout 5 --label backup vm-1 net-2 -- ./backup vm-1
      holdfast run --shared image-3 -- sha256sum /images/3.qcow2
      holdfast run --slots 5 uploads -- ./upload volume.raw

    Exit status:
      that of COMMAND; 128+n if signal n ended it, or the wait for the locks
      75   not had in time (EX_TEMPFAIL); the message names the holders
      76   a lock was lost while COMMAND ran
      126  COMMAND may not be executed; 127  it was not found
    """),
)
@space_option
@click.option("--shared", is_flag=True, help="Share the names with others that share them.")
@click.option("--group", metavar="G", help="Share them with those of the same group only.")
@click.option("--slots", metavar="N", type=click.IntRange(1), help="Be one of at most N holders.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0),
    help="Give up after so long, 0: at once. Default: wait for ever.",
)
@click.option(
    "--on-lost",
    type=click.Choice(["term", "kill", "ignore"]),
    default="term",
    show_default=True,
    help="When a lock is lost: SIGTERM and after --grace SIGKILL; SIGKILL; or go on.",
)
@click.option(
    "--grace",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=10,
    show_default=True,
    help="How long --on-lost=term waits before it kills.",
)
@click.option("--label", metavar="L", default="", help="What others see of you: who, in a word.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=_complete)
def run(
    *,
    space: str,
    shared: bool,
    group: str | None,
    slots: int | None,
    timeout: float | None,
    on_lost: str,
    grace: float,
    label: str,
    names: tuple[str, ...],
    command: tuple[str, ...],
) -> int:
    """Run COMMAND while holding all NAMEs.

    All names are had at once or none. The command finds its fencing token in HOLDFAST_TOKEN, or
    with several names all of them in HOLDFAST_TOKENS (JSON). On one host the lock lasts until this
    process and the command are both gone; the command gets SIGTERM if this process dies.
    """
    if sum((shared, group is not None, slots is not None)) > 1:
        raise click.UsageError("choose one of --shared, --group and --slots")
    modes: dict[str, Any] = {"shared": shared, "group": group, "slots": slots}

    def ask(locks: Lockspace) -> Grant:
        return locks(*names, **modes).acquire(timeout)

    path = find(command[0])
    signals, mask = block_signals()
    keeper = Keeper(fork(path, list(command), mask), signals, cast("OnLost", on_lost), grace)
    return keeper.keep(lambda: open_space(space, label), ask)
