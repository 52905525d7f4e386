"""Tables: aligned text for pipes and files; rich, and only then imported, for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["Table", "console", "drawn", "is_terminal", "plain", "show"]

STYLES = {"held": "green", "waiting": "yellow", "ok": "green", "FAILED": "bold red"}
WHOLE = {"NAME", "ID", "SEEN"}
"""Columns of which nothing is cut off, however narrow the terminal: one copies from them."""


@dataclass(frozen=True)
class Table:
    """Columns and rows, and lines of text below them; without rows only those lines."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    below: Sequence[str] = ()


def is_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def show(table: Table, *, flush: bool = False) -> None:
    """Print it in the way that fits where it goes."""
    if is_terminal():
        console().print(drawn(table))
    else:
        print(plain(table), flush=flush)


def plain(table: Table) -> str:
    """Aligned columns and nothing cut off: for grep and awk."""
    lines = [list(table.columns), *map(list, table.rows)] if table.rows else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    return "\n".join([*text, *table.below])


def console() -> Console:
    """The terminal. It honours NO_COLOR and TERM=dumb; names are no markup."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)


def drawn(table: Table) -> RenderableType:
    """The table as a terminal shows it, cut to its width."""
    from rich.console import Group
    from rich.text import Text

    below = [Text(line, style="bold red" if "circle:" in line else "") for line in table.below]
    return Group(_grid(table), *below) if table.rows else Group(*below)


def _grid(table: Table) -> RenderableType:
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        whole = column in WHOLE
        grid.add_column(column, overflow="fold" if whole else "ellipsis", no_wrap=not whole)
    for row in table.rows:
        grid.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    return grid
