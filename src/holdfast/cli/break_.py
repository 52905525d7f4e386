"""``holdfast break``: take a lock from a holder that is known dead."""

from __future__ import annotations

import click

from holdfast.cli.failure import Failure
from holdfast.cli.space import complete_id, complete_name, opened, space_option
from holdfast.cli.words import shown_as_is
from holdfast.locks.terms import Holder

__all__ = ["break_"]


@click.command(
    "break",
    epilog=shown_as_is("""
    Examples:
      holdfast who vm-1
      holdfast break vm-1 --id 3f-12-1a2b --why "host7 lost power at 14:02, checked by hand"
    """),
)
@space_option
@click.argument("name", shell_complete=complete_name)
@click.option("--id", "id", required=True, shell_complete=complete_id, help="As `who` shows it.")
@click.option("--why", required=True, help="For whoever finds the lock broken, and for the log.")
def break_(*, space: str, name: str, id: str, why: str) -> None:
    """Take NAME from the holder with this ID, who is known to be dead.

    All names of that grant go, and those who wait move on. If the holder lives after all, it is
    told that it lost the lock, but what it is doing at that moment it may still do. Nothing is
    changed if somebody else holds NAME by now.
    """
    if not why.strip():
        raise click.UsageError("--why is empty: say how you know that the holder is dead")
    with opened(space) as locks:
        if not locks.break_(name, id=id, why=why):
            raise Failure(_nothing_changed(name, id, locks.holders(name)))
    print(f"{name!r} was taken from {id}.")


def _nothing_changed(name: str, id: str, holders: list[Holder]) -> str:
    if not holders:
        return f"nothing was changed: nobody holds {name!r} any more"
    present = "; ".join(f"{each.id}: {each.owner}" for each in holders)
    return f"nothing was changed: {name!r} is not held by {id} but by {present}"
