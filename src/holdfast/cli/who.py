"""``holdfast who``: who holds and who awaits one name."""

from __future__ import annotations

from time import time

import click

from holdfast.cli.failure import OTHER
from holdfast.cli.records import WHO_COLUMNS, Entry, as_json, rows
from holdfast.cli.space import complete_name, opened, space_option
from holdfast.cli.tables import Table, show
from holdfast.cli.words import shown_as_is

__all__ = ["who"]


@click.command(
    "who",
    epilog=shown_as_is("""
    Examples:
      holdfast who vm-1
      holdfast who vm-1 > /dev/null && echo busy

    Exit status:
      0  somebody holds or awaits it; 1  it is free
    """),
)
@space_option
@click.argument("name", shell_complete=complete_name)
@click.option("--json", "json", is_flag=True, help="For programs; the same format as `ls --json`.")
def who(*, space: str, name: str, json: bool) -> int:
    """Show who holds NAME and who awaits it, in the order in which they will be served."""
    with opened(space) as locks:
        entries: list[Entry] = [*locks.holders(name), *locks.waiters(name)]
    if json:
        print(as_json(entries))
    elif entries:
        show(Table(WHO_COLUMNS, rows(entries, WHO_COLUMNS, time())))
    else:
        print(f"{name!r} is free.")
    return 0 if entries else OTHER
