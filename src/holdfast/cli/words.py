"""Text for people: help that click leaves as it is, and ages."""

from __future__ import annotations

from textwrap import dedent

__all__ = ["age", "shown_as_is"]

UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def shown_as_is(text: str) -> str:
    """*text* for an epilog: click wraps no paragraph that begins with a backspace (its mark)."""
    return "\n\n".join("\b\n" + each for each in dedent(text).strip().split("\n\n"))


def age(seconds: float) -> str:
    """How long, in one unit: ``7 s``, ``12 min``, ``3 h``, ``2 d``."""
    for length, unit in UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"
