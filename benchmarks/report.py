"""The table for a terminal or a file, RESULTS.md, and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.results import Figure, Result
from benchmarks.why import WHY

__all__ = ["as_json", "as_markdown", "show"]

HOW = """\
All contenders take turns in one run, so that a busy machine is busy for all of them. A ratio is the
median of the ratios of the rounds; half of the rounds lay within the fourth column. Rows of one
thread count that thread's CPU time, the others wall time."""
HEAD = ("what", "goal", "figure", "half of the rounds", "reached")


def show(results: list[Result]) -> None:
    """Print the table: with rules and colours on a terminal, plainly elsewhere."""
    lines = [line for result in results for line in _lines(result)]
    if sys.stdout.isatty():
        _show_rich(lines)
    else:
        _show_plain(lines)
    for result in results:
        for note in result.notes:
            print(f"  {result.row}: {note}")


def as_json(machine: dict[str, str], command: str, results: list[Result]) -> str:
    """Everything that was measured."""
    told = {"machine": machine, "command": command, "rows": [each.as_dict() for each in results]}
    return json.dumps(told, indent=1, ensure_ascii=False)


def as_markdown(machine: dict[str, str], command: str, results: list[Result], plot: Path) -> str:
    """The text of RESULTS.md."""
    lines = [line for result in results for line in _lines(result)]
    goals = [figure for result in results for figure in result.figures if figure.goal is not None]
    reached = sum(figure.reached is True for figure in goals)
    parts = [
        "# What was measured",
        "",
        f"Written by `{command}`; do not edit. {reached} of {len(goals)} goals were reached.",
        "",
        HOW,
        "",
        *(f"- {what}: {value}" for what, value in machine.items()),
        "",
        *_markdown_table(HEAD, lines),
        "",
        f"![Each figure as a part of its goal, and the contenders side by side]({plot.name})",
        "",
        *_reasons(results),
        "## Side by side",
        "",
        *_side_by_side(results),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _lines(result: Result) -> list[tuple[str, ...]]:
    if result.missing:
        return [(result.title, "", f"NOT AVAILABLE: {result.missing}", "", "NO")]
    return [_line(result, figure) for figure in result.figures]


def _line(result: Result, figure: Figure) -> tuple[str, ...]:
    spread = figure.spread
    return (
        f"{result.title}: {figure.what}",
        goal_of(figure),
        number(spread.median, figure.unit),
        f"{number(spread.low)} to {number(spread.high)}",
        _verdict(figure),
    )


def goal_of(figure: Figure) -> str:
    if figure.goal is None:
        return "for information"
    return f"{'≥' if figure.at_least else '≤'} {number(figure.goal, figure.unit)}"


def _verdict(figure: Figure) -> str:
    if figure.reached is None:
        return ""
    if figure.reached:
        return "yes"
    value = figure.spread.median
    if not figure.goal:
        return f"NO: {number(value, figure.unit)} too much"
    if figure.at_least:
        return f"NO: {1 - value / figure.goal:.0%} too little"
    return f"NO: {value / figure.goal - 1:.0%} too much"


def number(value: float, unit: str = "") -> str:
    """Three digits are more than the machine's noise allows."""
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def _reasons(results: Iterable[Result]) -> list[str]:
    missed = [
        (result, WHY.get(result.row))
        for result in results
        if result.missing or any(figure.reached is False for figure in result.figures)
    ]
    if not missed:
        return []
    told = [
        line
        for result, why in missed
        for line in (f"**{result.title}.** {why or 'Not explained yet.'}", "")
    ]
    return ["## Not reached, and why", "", *told]


def _side_by_side(results: Iterable[Result]) -> list[str]:
    lines: list[str] = []
    for result in results:
        for panel in result.panels:
            values = sorted(panel.values.items(), key=lambda each: each[1], reverse=panel.high)
            told = ", ".join(f"{who} {number(value)}" for who, value in values)
            lines.append(f"- {panel.title} ({panel.unit}): {told}")
        lines += [f"- {result.row}: {note}" for note in result.notes]
    return lines


def _markdown_table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> list[str]:
    table = [head, tuple("-" for _ in head), *lines]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in table]


def _show_plain(lines: list[tuple[str, ...]]) -> None:
    table = [HEAD, *lines]
    widths = [max(len(line[at]) for line in table) for at in range(len(HEAD))]
    widths[0] = min(widths[0], 72)
    for line in table:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def _show_rich(lines: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*HEAD)
    for line in lines:
        style = {"yes": "green", "": "dim"}.get(line[-1], "bold red")
        table.add_row(*map(Text, line[:-1]), Text(line[-1], style=style))
    Console().print(table)
