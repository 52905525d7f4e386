"""One picture: how much of each goal is used, and the contenders side by side."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from benchmarks.report import goal_of, number
from benchmarks.results import Panel, Result

__all__ = ["draw"]

OURS = "#0b6e4f"
MISSED = "#c1440e"
OTHERS = "#9aa5b1"
COLUMNS = 3


def draw(results: list[Result], path: Path) -> None:
    """Write the picture to *path*. Needs matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from PIL import Image

    panels = [panel for result in results for panel in result.panels if len(panel.values) > 1]
    rows = -(-len(panels) // COLUMNS)
    goals = _goals(results)
    top = 0.27 * len(goals) + 0.9
    with plt.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = plt.figure(figsize=(11, top + 1.75 * rows), layout="constrained")
        grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[top, *[1.75] * rows])
        _draw_goals(figure.add_subplot(grid[0, :]), goals)
        for at, panel in enumerate(panels):
            _draw_panel(figure.add_subplot(grid[1 + at // COLUMNS, at % COLUMNS]), panel)
        drawn = BytesIO()
        figure.savefig(drawn, dpi=100)
        plt.close(figure)
    # A palette is enough for a few colours, and a quarter of the bytes: the file is committed.
    Image.open(drawn).convert("RGB").quantize(48).save(path, optimize=True)


def _goals(results: list[Result]) -> list[tuple[str, float, str]]:
    """What, how much of the goal is used, and the figure beside the goal, in words."""
    return [
        (
            f"{result.row}: {figure.what}",
            figure.used,
            f"{number(figure.spread.median, figure.unit)} ({goal_of(figure)})",
        )
        for result in results
        for figure in result.figures
        if figure.goal is not None and figure.used is not None
    ]


def _draw_goals(axes: Any, goals: list[tuple[str, float, str]]) -> None:
    floor, ceiling = 0.05, 8.0
    for at, (_, used, label) in enumerate(goals):
        end = min(max(used, floor), ceiling)
        colour = OURS if used <= 1 else MISSED
        axes.hlines(at, floor, end, color=colour, linewidth=2)
        axes.plot(end, at, "o", color=colour, markersize=5)
        axes.annotate(label, (end, at), (6, 0), textcoords="offset points", va="center", fontsize=7)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(xscale="log", xlim=(floor, ceiling * 2), yticks=range(len(goals)))
    axes.set_yticklabels([what for what, _, _ in goals])
    axes.invert_yaxis()
    axes.set_xticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "goal", "2 x", "5 x"])
    axes.minorticks_off()
    axes.set_title("how much of each goal is used up (left of the line: reached)", loc="left")


def _draw_panel(axes: Any, panel: Panel) -> None:
    values = sorted(panel.values.items(), key=lambda each: each[1], reverse=panel.high)
    numbers = [max(value, 1e-3) for _, value in values]
    # Ours is the contender of that name; where only we compete, all bars are ours.
    named = {who for who, _ in values if who.startswith("holdfast")}
    ours = named or {who for who, _ in values if not who.startswith("bare")}
    colours = [OURS if who in ours else OTHERS for who, _ in values]
    axes.barh(range(len(values)), numbers, color=colours, height=0.65)
    wide = max(numbers) > 20 * min(numbers)
    if wide:
        axes.set_xscale("log")
        axes.set_xlim(min(numbers) / 2, max(numbers) * 6)
    else:
        axes.set_xlim(0, max(numbers) * 1.25)
    for at, (_, value) in enumerate(values):
        axes.annotate(number(value), (numbers[at], at), (3, 0), textcoords="offset points",
                      va="center", fontsize=7)  # fmt: skip
    axes.set_yticks(range(len(values)), [who for who, _ in values])
    better = "more is better" if panel.high else "less is better"
    axes.set_title(panel.title, loc="left", fontsize=8)
    axes.set_xlabel(f"{panel.unit}{', log' if wide else ''}; {better}", fontsize=6)
    axes.set_ylim(max(len(values), 4) - 0.4, -0.6)
    axes.tick_params(axis="x", labelsize=6)
    axes.minorticks_off()
