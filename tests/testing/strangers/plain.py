"""A stranger's driver over the law's table, and a tiny one that has nothing but exclusive locks.

Both are for one process. They are written from ``drivers/base.py`` alone.
"""

from __future__ import annotations

import threading
import time

from holdfast.drivers.base import Guarantees
from holdfast.drivers.owner import this_process
from holdfast.errors import Closed, LockLost, Unsupported
from holdfast.locks.table import Table
from holdfast.locks.terms import Holder, Waiter


class Plain:
    """One table, one lock, no short cut."""

    guarantees = Guarantees(
        reach="process",
        fifo=True,
        fenced=True,
        takeover=None,
        limits=("It is for one process.",),
    )
    table_class = Table

    def __init__(self, url, options):
        if options.ttl is not None or options.extra:
            raise Unsupported("no options here")
        self.label = options.label
        self.table = self.table_class(last=time.time_ns())
        self.mutex = threading.RLock()
        self.closed = False

    @property
    def owner(self):
        return this_process(self.label)

    def submit(self, claim, tell):
        self.refuse(claim)
        claim.since = time.time()
        if tell is not None:
            claim.tell = tell
        with self.mutex:
            if self.closed:
                raise Closed("closed")
            granted = self.table.enter(claim, stay=tell is not None)
            claim.id = self.id_of(claim.ticket)
        self.spread()
        return granted

    def refuse(self, claim):
        kinds = {"group" if mode.group else mode.kind for _, mode in claim.wants}
        if not kinds <= self.guarantees.modes:
            raise Unsupported(f"this driver has no {kinds - self.guarantees.modes}")
        if len(claim.wants) > 1 and not self.guarantees.several_names:
            raise Unsupported("this driver has one name for each ask")

    def drop(self, claim):
        with self.mutex:
            held = claim.state == "held"
            self.table.leave(claim)
        self.spread()
        return held

    def rivals(self, claim):
        with self.mutex:
            seats = self.table.blockers(claim)
            return [(seat.name, seat.mode, seat.claim) for seat in seats]

    def blockers(self, claim):
        with self.mutex:
            return [(self.seen(seat), seat.claim) for seat in self.table.blockers(claim)]

    def look(self, prefix):
        with self.mutex:
            names = sorted(name for name in self.table.lines if name.startswith(prefix))
            lines = [sorted(self.table.lines[n], key=lambda seat: not seat.held) for n in names]
            return [self.seen(seat) for line in lines for seat in line]

    def seen(self, seat):
        claim = seat.claim
        facts = (seat.name, seat.mode, self.owner, claim.since, self.id_of(claim.ticket))
        if seat.held:
            return Holder(*facts, seat.token)
        others = (self.id_of(other.claim.ticket) for other in self.table.blockers(claim))
        return Waiter(*facts, tuple(dict.fromkeys(others)))

    def break_(self, name, id, why):
        with self.mutex:
            seats = [seat for seat in self.table.line_of(name) if seat.held]
            found = [seat.claim for seat in seats if self.id_of(seat.claim.ticket) == id]
            for claim in found:
                self.table.lose(claim, LockLost(claim.names, why))
        self.spread()
        return bool(found)

    def forked(self):
        self.mutex = threading.RLock()
        for line in self.table.lines.values():
            for seat in line:
                seat.claim.state = "gone"
        self.table.clear()

    def close(self):
        with self.mutex:
            self.closed = True
            claims = {seat.claim for line in self.table.lines.values() for seat in line}
            for claim in sorted(claims, key=lambda each: (each.state == "held", -each.ticket)):
                lost = LockLost(claim.names, "closed")
                self.table.lose(claim, lost if claim.state == "held" else Closed("closed"))
        self.spread()

    def spread(self):
        while self.table.news:
            self.table.news.pop(0).tell()

    def id_of(self, ticket):
        return f"plain-{ticket}"


class Tiny(Plain):
    """Exclusive locks of one name each, without order and without fences; and it says so."""

    guarantees = Guarantees(
        reach="process",
        fifo=False,
        fenced=False,
        takeover=None,
        modes=frozenset({"exclusive"}),
        several_names=False,
        limits=(
            "One process, exclusive locks, one name at a time, any order, tokens mean nothing.",
        ),
    )
