"""``holdfast ls``: who holds and who awaits which names; once, or live."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING

import click

from holdfast.cli.records import LS_COLUMNS, Entry, as_json, circle_lines, rows
from holdfast.cli.space import complete_name, opened, space_option
from holdfast.cli.tables import Table, console, drawn, is_terminal, show
from holdfast.cli.words import shown_as_is

if TYPE_CHECKING:
    from holdfast import Lockspace

__all__ = ["ls"]

STDOUT = 1


@click.command(
    "ls",
    epilog=shown_as_is("""
    Examples:
      holdfast ls
      holdfast ls pool/ --watch
      holdfast ls --json | jq -r '.entries[] | select(.state == "held") | .name'
    """),
)
@space_option
@click.argument("prefix", default="", shell_complete=complete_name)
@click.option("--json", "json", is_flag=True, help="For programs; with --watch a line per change.")
@click.option("--watch", is_flag=True, help="Go on showing, until Ctrl-C.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.05),
    default=0.5,
    show_default=True,
    help="How often --watch looks.",
)
def ls(*, space: str, prefix: str, json: bool, watch: bool, interval: float) -> None:
    """List who holds and who awaits the names that begin with PREFIX.

    Holders come first, then waiters in the order in which they will be served. BEHIND tells who is
    next ahead of a waiter. Processes that wait for each other in a circle are named below.
    """
    with opened(space) as locks:
        if watch:
            with suppress(KeyboardInterrupt):  # that is how one ends it
                _watch(_looks(locks, prefix, interval), space, json)
        else:
            _print(locks.snapshot(prefix), space, json)


def _print(entries: list[Entry], space: str, json: bool) -> None:
    if json:
        print(as_json(entries), flush=True)
    else:
        show(_table(entries, space), flush=True)


def _watch(looks: Iterator[list[Entry]], space: str, json: bool) -> None:
    if is_terminal() and not json:
        _draw_live(looks, space)
        return
    seen = None
    for entries in looks:
        if entries != seen:
            _print(entries, space, json)
        seen = entries


def _draw_live(looks: Iterator[list[Entry]], space: str) -> None:
    from rich.live import Live

    terminal = console()
    with Live(console=terminal, auto_refresh=False) as live:
        for entries in looks:
            live.update(drawn(_table(entries, space), terminal.width), refresh=True)


def _looks(locks: Lockspace, prefix: str, interval: float) -> Iterator[list[Entry]]:
    """A snapshot every *interval*, until whoever reads stdout has gone."""
    reader = select.poll()
    reader.register(STDOUT, 0)
    while True:
        yield locks.snapshot(prefix)
        # No events were asked for, so this sleeps; an error is told all the same: a closed pipe.
        if any(
            what & (select.POLLERR | select.POLLNVAL) for _, what in reader.poll(interval * 1000)
        ):
            raise BrokenPipeError


def _table(entries: list[Entry], space: str) -> Table:
    if not entries:
        return Table(LS_COLUMNS, (), [f"Nobody holds or awaits anything in {space}."])
    return Table(LS_COLUMNS, rows(entries, LS_COLUMNS, time()), circle_lines(entries))
