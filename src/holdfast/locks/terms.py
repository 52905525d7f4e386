"""The words of the law: mode, owner, and what one sees of who holds and who waits.

Two asks on one name are *compatible* if both are shared with the same group (none counts as one),
or if both are slots and there is room; see :mod:`holdfast.locks.queue` for the one rule.
"""

from __future__ import annotations

import time
from typing import Any, Literal, NamedTuple

from holdfast.errors import Unsupported

__all__ = ["EXCLUSIVE", "SHARED", "Holder", "Mode", "Owner", "Waiter", "Want", "group", "slots"]

MAX_GROUP_BYTES = 255
MAX_SLOTS = 2**31 - 1


class Mode(NamedTuple):
    """How a name is asked for. Make one with EXCLUSIVE, SHARED, ``group("g")`` or ``slots(n)``."""

    kind: Literal["exclusive", "shared", "slots"]
    group: str | None = None
    limit: int = 0

    def __str__(self) -> str:
        if self.kind == "slots":
            return f"slots:{self.limit}"
        return f"group:{self.group}" if self.group is not None else self.kind

    @classmethod
    def read(cls, text: str) -> Mode:
        """The mode that ``str`` wrote. Raises Unsupported for one of a newer version."""
        kind, _, argument = text.partition(":")
        try:
            if text in ("exclusive", "shared"):
                return EXCLUSIVE if text == "exclusive" else SHARED
            if kind == "group":
                return group(argument)
            if kind == "slots" and argument == str(int(argument)):
                return slots(int(argument))
        except ValueError:
            pass
        raise Unsupported(f"lock mode {text!r} is not known here; upgrade holdfast on this host")


EXCLUSIVE = Mode("exclusive")
SHARED = Mode("shared")


def group(name: str) -> Mode:
    """Shared among the holders of one group; everyone else is shut out.

    Raises ValueError for a group that is empty, unprintable or longer than 255 bytes.
    """
    if not isinstance(name, str):
        raise ValueError(f"a group is text, not {type(name).__name__}")
    if not name or not name.isprintable() or len(name.encode()) > MAX_GROUP_BYTES:
        raise ValueError(f"a group is 1 to {MAX_GROUP_BYTES} bytes of printable text: {name!r}")
    return Mode("shared", group=name)


def slots(limit: int) -> Mode:
    """At most *limit* holders at once (an int, at least 1). Raises ValueError otherwise."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_SLOTS:
        raise ValueError(f"slots is a whole number from 1 to {MAX_SLOTS}, not {limit!r}")
    return Mode("slots", limit=limit)


Want = tuple[str, Mode]
"""One name of an ask, with the mode it is asked in."""


class Owner(NamedTuple):
    """Who asks: a process of a host, told apart from a later one with the same pid.

    ``boot`` is the host's boot id, ``start`` the process's start time in clock ticks since boot
    (field 22 of ``/proc/PID/stat``), ``command`` its command line, cut short.
    """

    host: str
    boot: str
    pid: int
    start: int
    label: str = ""
    command: str = ""

    def __str__(self) -> str:
        label = f"{self.label} " if self.label else ""
        return f"{label}(pid {self.pid} on {self.host})"


def _age(since: float) -> str:
    return f"{max(0.0, time.time() - since):.3g} s"


class Holder(NamedTuple):
    """One holder of one name. ``since``: epoch seconds; ``id``: what ``break_`` wants to see."""

    name: str
    mode: Mode
    owner: Owner
    since: float
    id: str
    token: int

    def __str__(self) -> str:
        return f"{self.name!r} is held ({self.mode}) by {self.owner} for {_age(self.since)}"

    def as_dict(self) -> dict[str, Any]:
        """The fields for ``--json``."""
        return {**_fields(self), "state": "held"}


class Waiter(NamedTuple):
    """One waiter on one name. ``waiting_for``: the ids of those in its way, over all its names."""

    name: str
    mode: Mode
    owner: Owner
    since: float
    id: str
    waiting_for: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.owner} waits for {self.name!r} ({self.mode}) for {_age(self.since)}"

    def as_dict(self) -> dict[str, Any]:
        """The fields for ``--json``."""
        return {**_fields(self), "state": "waiting", "waiting_for": list(self.waiting_for)}


def _fields(seen: Holder | Waiter) -> dict[str, Any]:
    return {**seen._asdict(), "mode": str(seen.mode), "owner": seen.owner._asdict()}
