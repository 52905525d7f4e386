"""Who waits for whom inside this process, and whether that goes in a circle (law 8).

Whoever is about to wait notes its claim here and follows the claims in its way to those who hold
them in ``with`` or ``async with``, and on to what these wait for. The last one to close a circle
finds it, because each notes itself before it looks. Across processes nothing is known here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from holdfast.drivers.base import Driver
from holdfast.errors import Deadlock
from holdfast.locks.table import Claim
from holdfast.locks.terms import Holder, Waiter

__all__ = ["Waiting"]

_waits: dict[object, Waiting] = {}
"""Who waits (a thread's ident, a greenlet or a task), for which claim."""

_stopped_loops: dict[object, object] = {}
"""Event loops whose thread waits in a blocking call: none of their tasks can go on."""


class Waiting:
    """A claim that somebody is about to wait for; a context manager around the wait."""

    __slots__ = ("_loop", "claim", "driver", "who")

    def __init__(self, driver: Driver, claim: Claim, who: object, loop: object = None) -> None:
        self.driver = driver
        self.claim = claim
        self.who = who
        self._loop = loop

    def __enter__(self) -> None:
        """Raises Deadlock, naming the circle, if this wait would close one."""
        _waits[self.who] = self
        if self._loop is not None:
            _stopped_loops[self._loop] = self.who
        try:
            circle = _circle(self, self.who, (self.who,))
        except BaseException:
            self.__exit__()
            raise
        if circle is not None:
            self.__exit__()
            raise Deadlock(circle)

    def __exit__(self, *_: object) -> None:
        _waits.pop(self.who, None)
        _stopped_loops.pop(self._loop, None)


Step = tuple[Holder | Waiter, object]


def _circle(waiting: Waiting, start: object, seen: tuple[object, ...]) -> list[str] | None:
    """The sentences of a circle from *waiting* back to *start*, or None.

    Of slots, one that gets free is enough: there is a circle only if each holder is in one.
    """
    found: list[str] | None = None
    for seen_as, who in _in_the_way(waiting):
        circle = _through(seen_as, who, waiting, start, seen)
        if seen_as.mode.kind != "slots":
            if circle is not None:
                return circle
        elif circle is None:
            return None
        else:
            found = found or circle
    return found


def _in_the_way(waiting: Waiting) -> list[Step]:
    """Those in the way, the ones of slots last, so that a sure circle is found first."""
    steps = [
        (seen_as, None if claim is None else claim.who)
        for seen_as, claim in waiting.driver.blockers(waiting.claim)
    ]
    return sorted(steps, key=lambda step: step[0].mode.kind == "slots")


def _through(
    seen_as: Holder | Waiter, who: object, waiting: Waiting, start: object, seen: tuple[object, ...]
) -> list[str] | None:
    step = f"{_named(waiting.who)} waits for {seen_as.name!r}, which {_named(who)} {_has(seen_as)}"
    if who is None:
        return None
    for next_one in _cannot_go_on_before(who):
        if next_one == start:
            return [step]
        further = _waits.get(next_one)
        if further is not None and next_one not in seen:
            circle = _circle(further, start, (*seen, next_one))
            if circle is not None:
                return [step, *circle]
    return None


def _cannot_go_on_before(who: object) -> Iterator[object]:
    """*who* itself; and for a task, the thread of its loop if that waits in a blocking call."""
    yield who
    loop = getattr(who, "get_loop", lambda: None)()
    if loop in _stopped_loops:
        yield _stopped_loops[loop]


def _has(seen_as: Holder | Waiter) -> str:
    return "holds" if isinstance(seen_as, Holder) else "asked for first"


def _named(who: object) -> str:
    """A thread by its name, a task by its own."""
    if isinstance(who, int):
        threads: Any = getattr(sys.modules.get("threading"), "_active", {})
        return f"thread {threads[who].name!r}" if who in threads else f"thread {who}"
    get_name = getattr(who, "get_name", None)
    return f"task {get_name()!r}" if get_name else f"greenlet {id(who):#x}"
