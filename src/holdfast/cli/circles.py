"""Circles across processes: each waits for what the next one has, and the last for the first.

A waiter waits for everyone in its way. Of a *waiter* in its way it is known what that one waits
for. Of a *holder* it is not: the record names a process, not a thread. So all that the process and
its children wait for is followed, because a keeper lets go when its command has ended. For
``holdfast run`` such a circle is therefore certain; a program may have another thread that lets go.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from holdfast.locks.terms import Holder, Owner, Waiter

__all__ = ["Circle", "Process", "Step", "circles", "process_of"]

Process = tuple[str, str, int, int]
"""What tells a process from all others: host, boot, pid, start."""


class Step(NamedTuple):
    """Who waits, and who is in the way."""

    waiter: Waiter
    behind: Holder | Waiter

    def __str__(self) -> str:
        has = "holds" if isinstance(self.behind, Holder) else "awaits before it"
        name = self.behind.name
        return f"{self.waiter.owner} waits for {name!r}, which {self.behind.owner} {has}"


Circle = tuple[Step, ...]


def process_of(owner: Owner) -> Process:
    """The process, without its label and command."""
    return owner.host, owner.boot, owner.pid, owner.start


def circles(
    entries: Sequence[Holder | Waiter], parents: Callable[[Owner], Iterable[Process]]
) -> list[Circle]:
    """The shortest circle through each waiter that is in one; no waiter is shown twice.

    *parents* knows the processes that an owner descends from.
    """
    waiters = {each.id: each for each in entries if isinstance(each, Waiter)}
    graph = _graph(entries, waiters, parents)
    found: list[Circle] = []
    shown: set[str] = set()
    for id in waiters:
        circle = () if id in shown else _shortest(id, graph)
        ids = {each.waiter.id for each in circle}
        if circle and shown.isdisjoint(ids):
            shown |= ids
            found.append(circle)
    return found


Graph = dict[str, list[tuple[str, Step]]]
"""From a waiter's id to the ids of those that must move first, and why."""


def _graph(
    entries: Sequence[Holder | Waiter],
    waiters: dict[str, Waiter],
    parents: Callable[[Owner], Iterable[Process]],
) -> Graph:
    seats = defaultdict(list)
    for each in entries:
        seats[each.id].append(each)
    waits_of: dict[Process, list[str]] = defaultdict(list)
    for id, waiter in waiters.items():
        for process in (process_of(waiter.owner), *parents(waiter.owner)):
            waits_of[process].append(id)
    return {
        id: [
            (next_, Step(waiter, other))
            for blocker in waiter.waiting_for
            for other in _common(seats[blocker], seats[id])
            for next_ in _next(waiter, other, waits_of)
        ]
        for id, waiter in waiters.items()
    }


def _common(
    theirs: list[Holder | Waiter], mine: list[Holder | Waiter]
) -> Iterator[Holder | Waiter]:
    """Of the seats of one in the way those on a name that is awaited too: one is enough."""
    names = {each.name for each in mine}
    yield from [each for each in theirs if each.name in names][:1]


def _next(
    waiter: Waiter, other: Holder | Waiter, waits_of: dict[Process, list[str]]
) -> Sequence[str]:
    if isinstance(other, Waiter):
        return [other.id]
    if process_of(other.owner) == process_of(waiter.owner):
        return ()  # among its own threads: there the library itself refuses a circle
    return waits_of[process_of(other.owner)]


def _shortest(start: str, graph: Graph) -> Circle:
    """The shortest way from *start* back to it; empty if there is none."""
    came_by: dict[str, tuple[str, Step]] = {}
    queue = deque([start])
    while queue and start not in came_by:
        here = queue.popleft()
        for there, step in graph[here]:
            if there not in came_by:
                came_by[there] = here, step
                queue.append(there)
    return _way_back(start, came_by) if start in came_by else ()


def _way_back(start: str, came_by: dict[str, tuple[str, Step]]) -> Circle:
    here, step = came_by[start]
    steps = [step]
    while here != start:
        here, step = came_by[here]
        steps.append(step)
    return tuple(reversed(steps))
