"""What may be a name, and how the words of a call become an ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast.errors import BadName
from holdfast.locks.terms import EXCLUSIVE, SHARED, Mode, Want
from holdfast.locks.terms import group as group_mode
from holdfast.locks.terms import slots as slots_mode

__all__ = ["MAX_NAME_BYTES", "check_name", "check_timeout", "wants_of"]

MAX_NAME_BYTES = 1024


def check_name(name: object) -> str:
    """*name*, if it is printable text of 1 to 1,024 bytes. Raises BadName otherwise."""
    if not isinstance(name, str):
        raise BadName(name, f"a name is text, not {type(name).__name__}")
    if not name:
        raise BadName(name, "a name has at least one character")
    if not name.isprintable():
        raise BadName(name, "it holds a character that cannot be printed")
    size = len(name.encode())
    if size > MAX_NAME_BYTES:
        raise BadName(name, f"{size} bytes; at most {MAX_NAME_BYTES} are allowed")
    return str.__str__(name)


def check_timeout(timeout: float | None) -> float | None:
    """*timeout* in seconds, None for ever. Raises ValueError if it is negative or no number."""
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout is a number of seconds, 0 or more, not {timeout!r}")
    return timeout


def wants_of(
    names: tuple[Any, ...], shared: bool, group: str | None, slots: int | None
) -> tuple[Want, ...]:
    """The wants of ``locks(*names, shared=, group=, slots=)``; the only place that reads them.

    Raises BadName, and ValueError for no name, a name twice, or modes that contradict each other.
    """
    mode = _one_mode(shared, group, slots)
    if len(names) == 1 and isinstance(names[0], Mapping):
        if mode is not None:
            raise ValueError("give the modes in the dictionary or as arguments, not both")
        wants = tuple((check_name(name), _check_mode(each)) for name, each in names[0].items())
    else:
        wants = tuple((check_name(name), mode or EXCLUSIVE) for name in names)
    if not wants:
        raise ValueError("an ask needs at least one name")
    _refuse_twice(wants)
    return wants


def _one_mode(shared: bool, group: str | None, slots: int | None) -> Mode | None:
    if slots is not None:
        if shared or group is not None:
            raise ValueError("slots= contradicts shared= and group=: choose one")
        return slots_mode(slots)
    if group is not None:
        return group_mode(group)
    return SHARED if shared else None


def _check_mode(mode: object) -> Mode:
    if not isinstance(mode, Mode):
        raise ValueError(f"a mode is EXCLUSIVE, SHARED, group(...) or slots(n), not {mode!r}")
    return mode


def _refuse_twice(wants: tuple[Want, ...]) -> None:
    seen: set[str] = set()
    for name, _ in wants:
        if name in seen:
            raise ValueError(f"{name!r} is named twice in one ask")
        seen.add(name)
