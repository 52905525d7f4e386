"""Circles across processes: each waits for what the next one has, and the last for the first.

A waiter waits for everyone in its way. Of a *waiter* in its way it is known what that one waits
for. Of a *holder* it is not: the record names a process, not a thread, so all that the process
waits for is followed. With one thread (``holdfast run``) a circle is therefore certain; among
processes of several threads another thread may still let go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from holdfast.locks.terms import Holder, Owner, Waiter

__all__ = ["Circle", "circles", "step"]

Circle = tuple[Waiter, ...]
"""Waiters, each in the way of the one before it, and the first in that of the last."""

Process = tuple[str, str, int, int]


def circles(entries: Sequence[Holder | Waiter]) -> list[Circle]:
    """The shortest circle through each waiter that is in one; no waiter is shown twice."""
    waiters = {each.id: each for each in entries if isinstance(each, Waiter)}
    behind = {id: list(_next(each, entries, waiters)) for id, each in waiters.items()}
    found: list[Circle] = []
    shown: set[str] = set()
    for id in waiters:
        circle = [] if id in shown else _shortest(id, behind)
        if circle and shown.isdisjoint(circle):
            shown.update(circle)
            found.append(tuple(waiters[each] for each in circle))
    return found


def step(waiter: Waiter, next_: Waiter, entries: Sequence[Holder | Waiter]) -> str:
    """One step of a circle in words: who waits for which name, and who has it."""
    names = {each.name for each in entries if each.id == waiter.id}
    for other in entries:
        in_the_way = other.id in waiter.waiting_for and other.name in names
        if in_the_way and _process_of(other.owner) == _process_of(next_.owner):
            verb = "holds" if isinstance(other, Holder) else "awaits before it"
            return f"{waiter.owner} waits for {other.name!r}, which {other.owner} {verb}"
    return f"{waiter.owner} waits for {waiter.name!r}"


def _process_of(owner: Owner) -> Process:
    """What tells a process from all others, labels aside."""
    return owner.host, owner.boot, owner.pid, owner.start


def _next(
    waiter: Waiter, entries: Sequence[Holder | Waiter], waiters: dict[str, Waiter]
) -> Iterator[str]:
    """The ids of the waiters that must move before this one can."""
    me = _process_of(waiter.owner)
    for other in entries:
        if other.id not in waiter.waiting_for:
            continue
        if isinstance(other, Waiter):
            yield other.id
        elif _process_of(other.owner) != me:  # its own threads in a circle: the library refuses it
            yield from _waits_of(_process_of(other.owner), waiters)


def _waits_of(process: Process, waiters: dict[str, Waiter]) -> Iterator[str]:
    return (id for id, each in waiters.items() if _process_of(each.owner) == process)


def _shortest(start: str, behind: dict[str, list[str]]) -> list[str]:
    """The shortest way from *start* back to it; empty if there is none."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for there in behind[here]:
            if there == start:
                return _way(start, here, came_from)
            if there not in came_from:
                came_from[there] = here
                queue.append(there)
    return []


def _way(start: str, end: str, came_from: dict[str, str]) -> list[str]:
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]
