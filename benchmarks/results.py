"""What a row of the table is, and what measuring it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

from benchmarks.measure import Spread
from benchmarks.scale import Scale

__all__ = ["REGISTERED", "Figure", "Panel", "Result", "Row", "Unavailable", "row"]


class Unavailable(Exception):
    """This row cannot be measured here; says why."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that has a goal, or that is told for information."""

    what: str
    spread: Spread
    unit: str
    goal: float | None = None
    at_least: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the goal was reached; None where there is none."""
        if self.goal is None:
            return None
        value = self.spread.median
        return value >= self.goal if self.at_least else value <= self.goal

    @property
    def used(self) -> float | None:
        """How much of the goal is used up: 1 is just reached, 2 is twice too much."""
        if self.goal is None:
            return None
        value = self.spread.median
        if self.at_least:
            return self.goal / value if value else float("inf")
        return value / self.goal if self.goal else (0.0 if value == 0 else float("inf"))


@dataclass(frozen=True, slots=True)
class Panel:
    """The contenders side by side, in one unit; small is good unless *high* is."""

    title: str
    unit: str
    values: dict[str, float]
    high: bool = False


@dataclass(slots=True)
class Result:
    """One row, measured, or why it was not."""

    row: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        told = asdict(self)
        for figure, seen in zip(self.figures, told["figures"], strict=True):
            seen["reached"] = figure.reached
        return told


Measurement = Callable[[Scale, Result], None]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: what is measured, and how."""

    name: str
    title: str
    measure: Measurement

    def run(self, scale: Scale) -> Result:
        """Measure it; a peer or a part that is not there makes it missing, nothing else does."""
        result = Result(self.name, self.title)
        start = perf_counter()
        try:
            self.measure(scale, result)
        except Unavailable as why:
            result.missing = str(why)
        result.seconds = perf_counter() - start
        return result


REGISTERED: dict[str, Row] = {}


def row(name: str, title: str) -> Callable[[Measurement], Measurement]:
    """Add a row; :mod:`benchmarks.rows` puts them in order."""

    def add(measure: Measurement) -> Measurement:
        REGISTERED[name] = Row(name, title, measure)
        return measure

    return add
