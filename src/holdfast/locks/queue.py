"""The one rule: who blocks whom in the queue of a name. Every driver decides by this function.

A queue is everyone who holds or awaits one name, in order of arrival. The rule:

* **exclusive** is blocked by everyone ahead; **shared** by everyone ahead who is not shared in the
  same group. So nobody overtakes: a reader waits behind a waiting writer.
* **slots n** is blocked by everyone ahead who is not slots; by the holders, if they are as many as
  the smallest limit among them and its own; and by a waiter ahead whose own, smaller limit is what
  keeps it waiting, unless that waiter is *stuck*: another name of its ask blocks it too. A stuck
  ask reserves no slot, or a request for a busy volume would shut a pool for all other volumes.

Because of the last clause holders of slots may stand behind waiters for slots, and only there.
The shape (an answer of *blockers*, not a bool) follows Ganeti's ``Locking/Allocation.hs``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from holdfast.locks.terms import Mode

__all__ = ["HasToken", "Place", "blockers", "compatible", "token_of"]


class Place(Protocol):
    """One ask's place in the queue of one name."""

    @property
    def mode(self) -> Mode: ...
    @property
    def held(self) -> bool: ...


class HasToken(Place, Protocol):
    """A place that knows its token once it is held."""

    @property
    def token(self) -> int: ...


P = TypeVar("P", bound=Place)
T = TypeVar("T", bound=HasToken)


def compatible(mine: Mode, other: Mode) -> bool:
    """Whether holders of these modes may share a name (of slots: as far as there is room)."""
    return mine.kind != "exclusive" and mine.kind == other.kind and mine.group == other.group


def blockers(queue: Sequence[P], at: int, stuck: Callable[[P], bool]) -> Iterator[P]:
    """Those in *queue* who block the one at index *at*; none means that it may be granted.

    *queue* is in order of arrival; whoever ahead may be granted must have been granted already.
    *stuck* tells of a waiter ahead whether another name of its ask blocks it.
    """
    mine = queue[at].mode
    for ahead in queue[:at]:
        if not compatible(mine, ahead.mode):
            yield ahead
    if mine.kind == "slots":
        yield from _without_room(queue, at, stuck)


def _without_room(queue: Sequence[P], at: int, stuck: Callable[[P], bool]) -> Iterator[P]:
    me = queue[at]
    held = [each for each in queue if each.held and each is not me and each.mode.kind == "slots"]
    if held and len(held) >= min(me.mode.limit, *(each.mode.limit for each in held)):
        yield from held
    for ahead in queue[:at]:
        if not ahead.held and 0 < ahead.mode.limit <= len(held) and not stuck(ahead):
            yield ahead


def token_of(queue: Sequence[T], me: T, fresh: Callable[[], int]) -> int:
    """The fencing token for *me*, who is being granted: that of the present holders, or a new one.

    Sharers of one time share a token, so a store that refuses smaller tokens refuses none of them;
    a new one is larger than all before it, because *fresh* only counts up.
    """
    for other in queue:
        if other.held and other is not me:
            return other.token
    return fresh()
