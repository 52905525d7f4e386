"""Which lockspace a command means: ``--space``, ``HOLDFAST_SPACE``, or that of the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from holdfast.cli.failure import USAGE, Failure
from holdfast.errors import DriverError, HoldfastError, Unsupported

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from holdfast import Lockspace
    from holdfast.locks.terms import Holder, Waiter

__all__ = ["complete_id", "complete_name", "open_space", "opened", "space_option"]

HOST_SPACE = "file:///run/holdfast"
ADVICE = (
    "ask root to share it (`install -d -m 2770 -g GROUP /run/holdfast`, and for everybody"
    " HOLDFAST_SPACE='file:///run/holdfast?group=GROUP'), or name a lockspace of your own with"
    " --space file:///DIRECTORY"
)
MEMORY_REFUSED = (
    "memory: is a lockspace inside one process, and this one ends with the command: nobody could"
    " meet you there; use file:///DIRECTORY or a server's URL"
)

F = TypeVar("F", bound=Callable[..., object])


def _chosen(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str:
    space = value or HOST_SPACE
    if space.partition(":")[0] == "memory":
        raise Failure(MEMORY_REFUSED, USAGE)
    return space


def space_option(command: F) -> F:
    """The option ``--space``, the same for every command."""
    return click.option(
        "--space",
        metavar="URL",
        envvar="HOLDFAST_SPACE",
        callback=_chosen,
        help=f"The lockspace. Default: $HOLDFAST_SPACE, else {HOST_SPACE}.",
    )(command)


def open_space(space: str, label: str = "") -> Lockspace:
    """Open it. Who may not use the host's own one is told so, and never given another."""
    from holdfast import Lockspace

    try:
        return Lockspace(space, label=label)
    except (DriverError, Unsupported, OSError) as error:
        if space != HOST_SPACE:
            raise
        raise Failure(f"{error}; {ADVICE}") from error


@contextmanager
def opened(space: str) -> Iterator[Lockspace]:
    """The lockspace, closed at the end."""
    locks = open_space(space)
    try:
        yield locks
    finally:
        locks.close()


def _seen(ctx: click.Context, prefix: str) -> list[Holder | Waiter]:
    """What a completion may offer. While somebody types there is no place for an error."""
    try:
        with opened(ctx.params.get("space") or HOST_SPACE) as locks:
            return locks.snapshot(prefix)
    except (HoldfastError, Failure, OSError, ValueError):
        return []


def complete_name(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """The names that are held or awaited right now."""
    from click.shell_completion import CompletionItem

    given = ctx.params.get(param.name or "") or ()
    names = dict.fromkeys(each.name for each in _seen(ctx, incomplete))
    return [CompletionItem(name) for name in names if name not in given]


def complete_id(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """The ids of those who hold the name that was typed before; of all holders if none was."""
    from click.shell_completion import CompletionItem

    from holdfast.locks.terms import Holder

    # Before an option that lacks its value click stops, and leaves the arguments as they are.
    name = ctx.params.get("name") or next(iter(ctx.args), "")
    holders = [each for each in _seen(ctx, name) if isinstance(each, Holder)]
    return [
        CompletionItem(each.id, help=str(each.owner))
        for each in holders
        if each.id.startswith(incomplete) and name in ("", each.name)
    ]
