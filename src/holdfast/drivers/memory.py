"""``memory:``, the lockspace of one process: the law's table behind one mutex, and a short cut.

**The short cut.** A name that is free and asked for exclusively, alone, needs no queue: its
presence in the table's dictionary is the lock. The doors store a *lone* record (the user's grant
itself) under the name, and delete it again; the mutex is not taken. Whoever meets a lone record
and has more to say (a waiter, a reader of ``holders``, ``break_``) *unfolds* it under the mutex
into an ordinary queue of one.

This is sound because each of the steps is one run of bytecodes without a call or a backward jump,
and CPython with a GIL changes threads, runs signal handlers and raises asynchronous exceptions
only there::

    take:    if name not in lines: last += 1; lone.number = last; lines[name] = lone
    give:    if lines[name] is lone: del lines[name]
    unfold:  if lines[name] is lone: lines[name] = [seat]; lone.claim = claim

So T1's *give* and T2's *unfold* never interleave: either T2 finds the name free, or T1 finds a
queue, and leaves by the mutex. A test looks at the bytecodes of these runs. Where there is no GIL
nothing is lent and all go by the mutex. A property test shows that the short cut and the table
decide alike.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from time import time, time_ns
from typing import Any, Protocol, TypeVar

from holdfast.drivers.base import Guarantees, Options, Told
from holdfast.drivers.owner import this_process
from holdfast.errors import Closed, DriverError, LockLost, Unsupported, quoted
from holdfast.locks.table import Claim, Seat, Table
from holdfast.locks.terms import EXCLUSIVE, Holder, Mode, Owner, Waiter
from holdfast.native import allocate_lock, get_ident

__all__ = ["Lone", "Memory", "MemoryTable", "claim_of", "open_memory"]

T = TypeVar("T")

GUARANTEES = Guarantees(
    reach="process",
    fifo=True,
    fenced=True,
    takeover=None,
    limits=(
        "It excludes the threads, greenlets and tasks of one process only, and ends with it.",
        "Tokens grow over restarts only while the host's clock is not set back.",
    ),
)


class Lone(Protocol):
    """The only, exclusive holder of a name, stored under it without a queue."""

    claim: Claim | None
    """What it was unfolded into, if it was."""

    number: int
    """Its token; an object that is used again (a mutex) has a new one for each hold."""

    @property
    def since(self) -> float: ...
    @property
    def who(self) -> object: ...
    def told(self) -> None:
        """See :class:`holdfast.drivers.base.Driver`, *tell*."""


class MemoryTable(Table):
    """The law's table, whose dictionary may also hold lone records."""

    __slots__ = ()

    lines: dict[str, Any]

    def line(self, name: str) -> list[Seat]:
        """The queue of *name*, made if nobody is there; a taker may slip in, so look twice."""
        while True:
            line = self.line_of(name)
            kept: object = self.lines.get(name)
            if kept is line:
                return line
            new: list[Seat] = []
            if name not in self.lines:
                self.lines[name] = new
                return new

    def line_of(self, name: str) -> list[Seat]:
        """The queue of *name*, unfolded if it was a lone record."""
        while True:
            found = self.lines.get(name)
            if found is None:
                return []
            if isinstance(found, list):
                return found
            self._unfold(name, found)

    def _unfold(self, name: str, lone: Lone) -> None:
        claim = claim_of(name, lone)
        line = claim.seats.copy()
        try:
            # Its number too: a mutex may have been released and taken again since claim_of read it.
            if self.lines[name] is lone and lone.number == claim.ticket:
                self.lines[name] = line
                lone.claim = claim
        except KeyError:
            pass  # its holder left meanwhile


def claim_of(name: str, lone: Lone) -> Claim:
    """The claim that *lone* stands for."""
    claim = Claim(((name, EXCLUSIVE),), lone.who)
    seat = Seat(claim, name, EXCLUSIVE)
    seat.token = claim.ticket = lone.number
    claim.seats = [seat]
    claim.since = lone.since
    claim.state = "held"
    claim.tell = lone.told
    return claim


class Memory:
    """The driver. Its one mutex is held for a few microseconds and never while somebody is told."""

    guarantees = GUARANTEES

    def __init__(self, label: str = "") -> None:
        self._label = label
        self.table = MemoryTable(last=time_ns() >> 8)
        self._mutex = allocate_lock()
        self._inside = 0
        self._left: deque[Claim] = deque()
        self._closed = False
        self._owner: Owner | None = None
        self._prefix = ""

    @property
    def lent(self) -> MemoryTable | None:
        """The table, for the short cut of the doors; None where bytecodes may run in parallel."""
        return self.table if getattr(sys, "_is_gil_enabled", _always)() else None

    @property
    def owner(self) -> Owner:
        """This process."""
        # Not a cached_property: that has a lock, which another thread may hold while we fork.
        if self._owner is None:
            self._owner = this_process(self._label)
        return self._owner

    def submit(self, claim: Claim, tell: Told | None) -> bool:
        """See :meth:`Driver.submit <holdfast.drivers.base.Driver.submit>`."""
        claim.since = time()
        if tell is not None:
            claim.tell = tell
        granted = self._alone(lambda: self._enter(claim, stay=tell is not None))
        self._spread()
        return granted

    def drop(self, claim: Claim) -> bool:
        """See :meth:`Driver.drop <holdfast.drivers.base.Driver.drop>`."""
        if self._inside == get_ident():
            # A finaliser or handler interrupted us inside the mutex: the one interrupted does it.
            self._left.append(claim)
            return claim.state == "held"
        try:
            held = self._alone(lambda: self._leave(claim))
            self._spread()
        except BaseException:
            # Interrupted (Ctrl-C): nobody may come back to finish it, and others may sleep.
            self._left.append(claim)
            self._spread()
            raise
        return held

    def blockers(self, claim: Claim) -> list[tuple[Holder | Waiter, Claim | None]]:
        """See :meth:`Driver.blockers <holdfast.drivers.base.Driver.blockers>`."""
        return self._read(
            lambda: [(self._seen(seat), seat.claim) for seat in self.table.blockers(claim)]
        )

    def rivals(self, claim: Claim) -> list[tuple[str, Mode, Claim | None]]:
        """See :meth:`Driver.rivals <holdfast.drivers.base.Driver.rivals>`."""
        return self._read(
            lambda: [
                (seat.name, seat.mode, seat.claim)
                for seat in self.table.blockers(claim)
                if seat.held or seat.claim.wants != claim.wants
            ]
        )

    def look(self, prefix: str) -> list[Holder | Waiter]:
        """See :meth:`Driver.look <holdfast.drivers.base.Driver.look>`."""
        return self._read(lambda: list(self._look(prefix)))

    def break_(self, name: str, id: str, why: str) -> bool:
        """See :meth:`Driver.break_ <holdfast.drivers.base.Driver.break_>`."""
        try:
            broken = self._alone(lambda: self._break(name, id, why))
        finally:
            self._spread()
        return broken

    def forked(self) -> None:
        """See :meth:`Driver.forked <holdfast.drivers.base.Driver.forked>`."""
        self._mutex = allocate_lock()
        self._inside = 0
        self._left.clear()
        self._owner = None
        self._prefix = ""
        for name in tuple(self.table.lines):
            for seat in self.table.line_of(name):
                seat.claim.state = "gone"
        self.table.clear()

    def close(self) -> None:
        """See :meth:`Driver.close <holdfast.drivers.base.Driver.close>`."""
        self._alone(self._close)
        self._spread()

    def _alone(self, act: Callable[[], T]) -> T:
        """*act*, inside the mutex. No call stands between taking it and marking who is inside, so
        no handler can run there and find it taken by its own thread, unmarked."""
        me = get_ident()
        if self._inside == me:
            raise DriverError("a signal handler or finaliser that runs inside an ask cannot ask")
        with self._mutex:
            self._inside = me
            try:
                return act()
            finally:
                self._inside = 0

    def _read(self, act: Callable[[], T]) -> T:
        """The same for one that changes nothing; but a finaliser may have run inside it."""
        try:
            return self._alone(act)
        finally:
            if self._left:
                self._spread()

    def _enter(self, claim: Claim, stay: bool) -> bool:
        if self._closed:
            raise Closed("this lockspace is closed")
        granted = self.table.enter(claim, stay)
        claim.id = self._id(claim)
        return granted

    def _leave(self, claim: Claim) -> bool:
        held = claim.state == "held"
        self.table.leave(claim)
        return held

    def _work_off(self) -> None:
        while self._left:
            self.table.leave(self._left[0])
            self._left.popleft()

    def _break(self, name: str, id: str, why: str) -> bool:
        for seat in self.table.line_of(name):
            if seat.held and self._id(seat.claim) == id:
                lost = LockLost(seat.claim.names, f"it was broken: {why}")
                try:
                    self.table.lose(seat.claim, lost)
                except BaseException:
                    if seat.claim.state == "lost":
                        self._left.append(seat.claim)  # the rest is done when it is our turn
                    raise
                return True
        return False

    def _close(self) -> None:
        """End the waiters first, the last one first, so that nobody is let in on the way."""
        self._closed = True
        seats = [seat for name in tuple(self.table.lines) for seat in self.table.line_of(name)]
        claims = {seat.claim.ticket: seat.claim for seat in seats}
        for ticket in sorted(claims, key=lambda each: (claims[each].state == "held", -each)):
            claim = claims[ticket]
            lost = LockLost(claim.names, "its lockspace was closed")
            waits = Closed(f"the lockspace was closed while {quoted(claim.names)} was awaited")
            self.table.lose(claim, lost if claim.state == "held" else waits)

    def _spread(self) -> None:
        """Tell the news, outside the mutex; twice is harmless, never is not."""
        while self._left:
            self._alone(self._work_off)
        news = self.table.news
        while news:
            try:
                claim = news[0]
                if claim.state == "waiting":
                    # Its news stands there before its grant is stored: telling now is too early.
                    self._alone(partial(self._forget_if_waiting, claim))
                    continue
                claim.tell()
                news.remove(claim)
            except (IndexError, ValueError):
                pass  # another thread told it at the same time

    def _forget_if_waiting(self, claim: Claim) -> None:
        """Inside the mutex nobody is being granted: an exception ended the verb before that."""
        if claim.state == "waiting" and claim in self.table.news:
            self.table.news.remove(claim)

    def _look(self, prefix: str) -> Iterator[Holder | Waiter]:
        for name in sorted(name for name in tuple(self.table.lines) if name.startswith(prefix)):
            found = self.table.lines.get(name, [])  # a lone one may have left meanwhile
            line = found if found.__class__ is list else claim_of(name, found).seats
            for seat in sorted(line, key=lambda seat: not seat.held):
                yield self._seen(seat)

    def _seen(self, seat: Seat) -> Holder | Waiter:
        claim = seat.claim
        common = (seat.name, seat.mode, self.owner, claim.since, self._id(claim))
        if seat.held:
            return Holder(*common, seat.token)
        others = {self._id(other.claim): None for other in self.table.blockers(claim)}
        return Waiter(*common, tuple(others))

    def _id(self, claim: Claim) -> str:
        return self.id_of(claim.ticket)

    def id_of(self, ticket: int) -> str:
        """The id of the ask with that ticket; of a lone record, with that token."""
        if not self._prefix:
            # Two processes of one pid differ in their start.
            self._prefix = f"{self.owner.pid}.{self.owner.start}."
        return f"{self._prefix}{ticket}"


def _always() -> bool:
    """CPython before 3.13 always has a GIL."""
    return True


def open_memory(url: str, options: Options) -> Memory:
    """A new lockspace for this process. Raises Unsupported for a path or an unknown option.

    It needs no lease, so any ttl is kept: what holds here dies with all who could be waiting.
    """
    if url not in ("memory:", "memory://", ""):
        raise Unsupported(f"memory: has no path: {url!r}. Two Lockspace() share nothing")
    if options.extra:
        unknown = ", ".join(name for name, _ in options.extra)
        raise Unsupported(f"memory: takes label= and ttl=, not {unknown}=")
    return Memory(options.label)
