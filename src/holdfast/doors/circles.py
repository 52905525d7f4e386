"""Who waits for whom inside this process, and whether that goes in a circle (law 8).

Whoever is about to wait notes its claim here and follows the claims in its way to those who hold
them in ``with`` or ``async with``, and on to what these wait for. The last one to close a circle
finds it, because each notes itself before it looks. Across processes nothing is known here.

The queues move while somebody looks, so what was read at different times may seem a circle that
never was: T1 waits for T2; T2 leaves, T1 gets in and T2 asks again; T2 waits for T1. But a claim
that waits has never held, and one that left never comes back; so a step between two claims that is
there twice was there all the time in between. A circle counts if a second look finds each step.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from holdfast.doors.sleep import known
from holdfast.errors import Deadlock
from holdfast.locks.table import Claim
from holdfast.locks.terms import Mode

__all__ = ["HasRivals", "Waiting", "forget_all"]


class HasRivals(Protocol):
    """What is needed of a driver: see :meth:`holdfast.drivers.base.Driver.rivals`."""

    def rivals(self, claim: Claim) -> list[tuple[str, Mode, Claim | None]]: ...


class Waiting:
    """A claim that somebody is about to wait for; a context manager around the wait."""

    __slots__ = ("_loop", "claim", "driver", "who")

    def __init__(self, driver: HasRivals, claim: Claim, who: object, loop: object = None) -> None:
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
            self._refuse_circle()
        except BaseException:
            self.__exit__()
            raise

    def _refuse_circle(self) -> None:
        circle = _circle(self, self.who, {self.who})
        if circle and all(step.is_there() for step in circle):
            raise Deadlock([str(step) for step in circle])

    def __exit__(self, *_: object) -> None:
        _waits.pop(self.who, None)
        _stopped_loops.pop(self._loop, None)


_waits: dict[object, Waiting] = {}
"""Who waits (a thread's ident, a greenlet or a task), for which claim."""

_stopped_loops: dict[object, object] = {}
"""Event loops whose thread waits in a blocking call: none of their tasks can go on."""


def forget_all() -> None:
    """In a fork's child: those who waited are not here."""
    _waits.clear()
    _stopped_loops.clear()


class _Step(NamedTuple):
    """One waiting claim and one in its way."""

    waiting: Waiting
    name: str
    rival: Claim

    def is_there(self) -> bool:
        rivals = self.waiting.driver.rivals(self.waiting.claim)
        # One of acquire() is known to be nobody's only when it is being handed over.
        return any(rival is self.rival and rival.who is not None for _, _, rival in rivals)

    def __str__(self) -> str:
        has = "holds" if self.rival.state == "held" else "asked for first"
        me, other = _named(self.waiting.who), _named(known(self.rival.who))
        return f"{me} waits for {self.name!r}, which {other} {has}"


def _circle(waiting: Waiting, start: object, seen: set[object]) -> list[_Step]:
    """The steps of a circle from *waiting* back to *start*; none if there is none.

    Of slots, one that gets free is enough: there is a circle only if each holder is in one.
    """
    found: list[_Step] = []
    for step, slots in _steps(waiting):
        circle = _through(step, start, seen) if step.rival.who is not None else []
        if not slots and circle:
            return circle
        if slots and not circle:
            return []
        found = found or circle
    return found


def _steps(waiting: Waiting) -> Iterator[tuple[_Step, bool]]:
    """Those in the way, the ones of slots last, so that a sure circle is found first.

    One that waits for just the same is left out: whoever is in its way is in ours.
    """
    mine = waiting.claim
    rivals = waiting.driver.rivals(mine)
    if len(rivals) > 1:
        rivals.sort(key=lambda rival: rival[1].kind == "slots")
    for name, mode, rival in rivals:
        other = rival if rival is not None else _SOMEWHERE_ELSE
        if other.state != "waiting" or other.wants != mine.wants:
            yield _Step(waiting, name, other), mode.kind == "slots"


_SOMEWHERE_ELSE = Claim(())
"""Stands for the claims of other processes, which anybody there may release."""


def _through(step: _Step, start: object, seen: set[object]) -> list[_Step]:
    for who in _cannot_go_on_before(known(step.rival.who)):
        if who == start:
            return [step]
        further = _waits.get(who)
        if further is not None and who not in seen:
            seen.add(who)
            circle = _circle(further, start, seen)
            if circle:
                return [step, *circle]
    return []


def _cannot_go_on_before(who: object) -> Iterator[object]:
    """*who* itself; and for a task, the thread of its loop if that waits in a blocking call."""
    yield who
    if _stopped_loops:
        loop = getattr(who, "get_loop", lambda: None)()
        if loop in _stopped_loops:
            yield _stopped_loops[loop]


def _named(who: object) -> str:
    """A thread by its name, a task by its own."""
    if isinstance(who, int):
        threads: Any = getattr(sys.modules.get("threading"), "_active", {})
        return f"thread {threads[who].name!r}" if who in threads else f"thread {who}"
    get_name = getattr(who, "get_name", None)
    return f"task {get_name()!r}" if get_name else f"greenlet {id(who):#x}"
