"""Who holds, who waits, and who blocks whom, over all names: the rule applied to whole asks.

A table changes by three verbs only: :meth:`Table.enter`, :meth:`Table.leave` and
:meth:`Table.settle`, in which both end. It knows no clock, thread or file: whoever keeps it brings
mutual exclusion, and tells those whom the verbs put into :attr:`Table.news`.

An invariant holds between the verbs: whoever may be granted has been. So nobody sleeps for ever.

A verb that an exception (Ctrl-C) ended half-way is made good by calling it again, or by
:meth:`Table.leave`; other verbs may come in between. So ``state`` is the one word that says who
holds: a grant is a single store. It becomes "waiting" only when all seats are in their queues, and
"gone" before the first is taken out. The seats of a claim that is neither are leftovers, which
shut out those behind until somebody tidies up, and are never granted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from holdfast.errors import HoldfastError
from holdfast.locks.queue import blockers, token_of
from holdfast.locks.terms import Mode, Want

__all__ = ["Claim", "Seat", "Table", "tell_nobody"]

State = Literal["new", "waiting", "held", "gone", "lost"]


def tell_nobody() -> None:
    """What a claim tells by before anybody wants to know, and afterwards."""


class Claim:
    """An ask on its way through a driver: new, waiting, held, and then gone or lost.

    ``who`` is the thread, or refers to the greenlet or task, that waits, or that holds in ``with``;
    None if anyone may release it. ``since`` is when it was asked, then when it was granted (epoch
    seconds).
    ``tell`` is called without arguments after a change of ``state`` that the owner did not make.
    """

    __slots__ = ("error", "id", "seats", "since", "state", "tell", "ticket", "wants", "who")

    def __init__(self, wants: tuple[Want, ...], who: object = None) -> None:
        self.wants = wants
        self.who = who
        self.state: State = "new"
        self.ticket = 0
        self.id = ""
        self.since = 0.0
        self.seats: list[Seat] = []
        self.error: HoldfastError | None = None
        self.tell: Callable[[], None] = tell_nobody

    @property
    def names(self) -> tuple[str, ...]:
        """The names asked for, in the order of the ask."""
        return tuple(name for name, _ in self.wants)

    @property
    def tokens(self) -> dict[str, int]:
        """The fencing token of each name; those of a claim that was never granted are 0."""
        return {seat.name: seat.token for seat in self.seats}


class Seat:
    """A claim's place in the queue of one name (see :class:`holdfast.locks.queue.Place`)."""

    __slots__ = ("claim", "mode", "name", "token")

    def __init__(self, claim: Claim, name: str, mode: Mode) -> None:
        self.claim = claim
        self.name = name
        self.mode = mode
        self.token = 0

    @property
    def held(self) -> bool:
        """Whether its claim holds; so all seats of a claim are granted by one store."""
        return self.claim.state == "held"


class Table:
    """The queues of all names that anybody holds or awaits; a free name is absent.

    ``last`` is the last number given out. Tickets and tokens are drawn from one counter, so each
    is unique, and a token is larger than all that were granted before it was asked for.
    ``news`` holds the claims that were granted while they waited, until somebody tells them; after
    an interrupted verb one may stand there twice, or be gone by now. The same if it was lost.
    """

    __slots__ = ("_tangled", "last", "lines", "news")

    def __init__(self, last: int = 0) -> None:
        self.lines: dict[str, list[Seat]] = {}
        self.last = last
        self.news: list[Claim] = []
        self._tangled: set[Claim] = set()

    def enter(self, claim: Claim, stay: bool = True) -> bool:
        """Put *claim* at the end of its queues; whether it was granted at once.

        Without *stay* a claim that cannot be granted at once leaves no trace and stays "new".
        """
        if claim.seats:
            self.leave(claim)
        claim.ticket = self.fresh()
        claim.seats = [Seat(claim, name, mode) for name, mode in claim.wants]
        for seat in claim.seats:
            self.line(seat.name).append(seat)
        if _is_tangled(claim):
            self._tangled.add(claim)
        claim.state = "waiting"
        if not self._is_blocked(claim):
            self._grant(claim)
            if self._tangled:
                self.settle(())
            return True
        if not stay:
            claim.state = "new"
            self._remove(claim)
            claim.seats = []
        return False

    def leave(self, claim: Claim) -> None:
        """*claim* neither holds nor waits any more. Harmless if repeated."""
        if claim.state in ("held", "waiting"):
            claim.state = "gone"
        self._remove(claim)
        self.settle(claim.names)

    def lose(self, claim: Claim, error: HoldfastError) -> None:
        """*claim* was taken away; its owner is to be told *error*. Harmless if repeated."""
        if claim.state in ("held", "waiting"):
            claim.error = error
            self.news.append(claim)
            claim.state = "lost"
        self._remove(claim)
        self.settle(claim.names)

    def settle(self, names: Iterable[str]) -> None:
        """Grant whatever may be granted now that these *names* changed, in order of arrival.

        One pass over the waiters of these names is enough: leaving takes blockers away, and a
        grant only adds some. The exception are asks for slots of several names: a grant may make
        such an ask stuck, which frees the room that it kept for itself on another name, perhaps
        for one who came before. While such an ask waits, each grant begins the pass over all
        names anew.
        """
        if not self._tangled:
            for _ in self._grants(names):
                pass
            return
        while next(self._grants(tuple(self.lines)), None):
            pass

    def clear(self) -> None:
        """Nobody holds or waits any more, and nobody is told."""
        self.lines.clear()
        self.news.clear()
        self._tangled.clear()

    def blockers(self, claim: Claim) -> list[Seat]:
        """The seats that block *claim*: were all of them gone at once, it would be granted.

        If they leave one by one, others may be served before an ask for slots (see the rule).
        Nobody blocks a claim that does not wait.
        """
        if claim.state != "waiting":
            return []
        return [other for seat in claim.seats for other in self._in_the_way(seat)]

    def line(self, name: str) -> list[Seat]:
        """The queue of *name*, made if nobody is there yet."""
        return self.lines.setdefault(name, [])

    def fresh(self) -> int:
        """The next number of the lockspace."""
        self.last = number = self.last + 1
        return number

    def _grants(self, names: Iterable[str]) -> Iterator[Claim]:
        """Grant in order of arrival, as far as the caller goes on asking for the next one."""
        for claim in self._hopeful(names):
            if claim.state == "waiting" and not self._is_blocked(claim):
                self.news.append(claim)
                self._grant(claim)
                yield claim

    def _hopeful(self, names: Iterable[str]) -> Iterable[Claim]:
        """The waiters of *names* in order of arrival; nobody behind a barred one if one name."""
        lines = [self.line_of(name) for name in names]
        if len(lines) == 1:
            return _until_barred(lines[0])
        waiting = {seat.claim.ticket: seat.claim for line in lines for seat in line}
        return [waiting[ticket] for ticket in sorted(waiting)]

    def line_of(self, name: str) -> list[Seat]:
        """The queue of *name*, empty if nobody is there."""
        return self.lines.get(name, [])

    def _in_the_way(self, seat: Seat) -> Iterator[Seat]:
        line = self.line_of(seat.name)
        return blockers(line, line.index(seat), self._is_stuck)

    def _is_blocked(self, claim: Claim) -> bool:
        return any(next(self._in_the_way(seat), None) for seat in claim.seats)

    def _is_stuck(self, seat: Seat) -> bool:
        if seat.claim.state != "waiting":
            return False
        others = (other for other in seat.claim.seats if other is not seat)
        return any(next(self._in_the_way(other), None) for other in others)

    def _grant(self, claim: Claim) -> None:
        for seat in claim.seats:
            seat.token = token_of(self.line_of(seat.name), seat, self.fresh)
        claim.state = "held"
        self._tangled.discard(claim)

    def _remove(self, claim: Claim) -> None:
        for seat in claim.seats:
            line = self.line_of(seat.name)
            if seat in line:
                line.remove(seat)
            if self.lines.get(seat.name) == []:
                del self.lines[seat.name]
        self._tangled.discard(claim)


def _until_barred(line: list[Seat]) -> Iterator[Claim]:
    """The waiters of *line*, ending after one that stays: being exclusive, it bars all behind."""
    for seat in list(line):
        if seat.claim.state == "waiting":
            yield seat.claim
            if not seat.held and seat.mode.kind == "exclusive":
                return


def _is_tangled(claim: Claim) -> bool:
    """Whether it asks for slots of several names; then a grant may unblock (see ``settle``)."""
    wants = claim.wants
    return len(wants) > 1 and sum(mode.kind == "slots" for _, mode in wants) > 1
