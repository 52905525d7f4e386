"""Tables: aligned text for pipes and files; rich, and only then imported, for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["Table", "console", "drawn", "is_terminal", "plain", "show"]

STYLES = {"held": "green", "waiting": "yellow", "ok": "green", "FAILED": "bold red"}
FOLDED = {"NAME", "SEEN"}
"""Columns that go on in the next line if they must. Of the others only COMMAND is cut off."""
SPARED = ("COMMAND", "AGE", "MODE")
"""What a narrow terminal does without, in this order: never that which one acts on."""
LEAST = {"NAME": 12, "SEEN": 20, "COMMAND": 8}
GAP = 2


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
        terminal = console()
        terminal.print(drawn(table, terminal.width))
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


def drawn(table: Table, width: int) -> RenderableType:
    """The table as a terminal of that *width* shows it."""
    from rich.console import Group
    from rich.text import Text

    below = [Text(line, style="bold red" if "circle:" in line else "") for line in table.below]
    return Group(_grid(table, width), *below) if table.rows else Group(*below)


def _grid(table: Table, width: int) -> RenderableType:
    from rich.table import Table as Grid
    from rich.text import Text

    natural = _widths(table)
    columns = _fitting(natural, width)
    if not columns:  # rather broken lines than half a token
        return Text(plain(replace(table, below=())), overflow="fold")
    room = width + GAP - sum(natural[each] + GAP for each in columns if each != "COMMAND")
    grid = Grid(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        if column in FOLDED:
            grid.add_column(column, overflow="fold", min_width=min(natural[column], LEAST[column]))
        else:
            most = max(LEAST[column], room - GAP) if column == "COMMAND" else None
            grid.add_column(column, overflow="ellipsis", no_wrap=True, max_width=most)
    for row in table.rows:
        cells = [each for column, each in zip(table.columns, row, strict=True) if column in columns]
        grid.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
    return grid


def _widths(table: Table) -> dict[str, int]:
    cells = zip(table.columns, zip(*table.rows, strict=True), strict=True)
    return {column: max(map(len, (column, *seen))) for column, seen in cells}


def _fitting(natural: dict[str, int], width: int) -> list[str]:
    """The columns for which there is room; none if even the indispensable ones need more."""
    least = {column: min(wide, LEAST.get(column, wide)) + GAP for column, wide in natural.items()}
    for column in ("", *SPARED):
        least.pop(column, None)
        if sum(least.values()) - GAP <= width:
            return list(least)
    return []
