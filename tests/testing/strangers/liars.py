"""Drivers that promise what they do not keep: one lie each."""

from __future__ import annotations

from plain import Plain, Tiny

from holdfast.locks.table import Claim, Table
from holdfast.locks.terms import EXCLUSIVE


class Pushing(Table):
    """Whoever comes last is served first, and nobody minds who waits."""

    def _in_the_way(self, seat):
        return (other for other in super()._in_the_way(seat) if other.held)

    def _hopeful(self, names):
        return reversed(list(super()._hopeful(names)))


class NotFifo(Plain):
    table_class = Pushing


class EntersWithout(Plain):
    """Claims that it is held when it waits."""

    def submit(self, claim, tell):
        granted = super().submit(claim, tell)
        if not granted and tell is not None:
            self.drop(claim)
            claim.state = "held"
            return True
        return granted


class Deaf(Table):
    """Whoever gives up wakes nobody."""

    deaf = False

    def leave(self, claim):
        self.deaf = claim.state != "held"
        super().leave(claim)
        self.deaf = False

    def settle(self, names):
        if not self.deaf:
            super().settle(names)


class LosesWakeUp(Plain):
    table_class = Deaf


class TellsNobody(Plain):
    """Grants, and says nothing."""

    def spread(self):
        self.table.news.clear()


class Numb(Table):
    def fresh(self):
        self.last += 1
        return self.last // 4


class TokenStandsStill(Plain):
    table_class = Numb


class Restarting(Plain):
    """Begins its tokens anew whenever it is opened."""

    def __init__(self, url, options):
        super().__init__(url, options)
        self.table.last = 0


class FreesAnothers(Plain):
    """A second release frees whoever holds the name by now."""

    def drop(self, claim):
        with self.mutex:
            for name in claim.names if claim.state == "gone" else ():
                for seat in list(self.table.line_of(name)):
                    if seat.held:
                        self.table.leave(seat.claim)
        return super().drop(claim)


class LosesQuietly(Plain):
    """Breaks a lock and does not tell its holder."""

    def break_(self, name, id, why):
        self.tell_nobody = [s.claim for s in self.table.line_of(name)]
        for claim in self.tell_nobody:
            claim.tell = lambda: None
        return super().break_(name, id, why)


class BreaksAnyone(Plain):
    """Takes the lock from whoever holds it, whatever the id."""

    def break_(self, name, id, why):
        for seat in self.table.line_of(name):
            if seat.held:
                id = self.id_of(seat.claim.ticket)
        return super().break_(name, id, why)


class LeavesTraces(Plain):
    """Keeps whoever waited for a while on its list."""

    def __init__(self, url, options):
        super().__init__(url, options)
        self.old = []

    def drop(self, claim):
        self.old += claim.seats[:1]
        return super().drop(claim)

    def look(self, prefix):
        old = [self.seen(seat) for seat in self.old if seat.name.startswith(prefix)]
        return old + super().look(prefix)


class RefusesNothing(Tiny):
    """Says that it has exclusive locks only, and grants the rest anyhow."""

    def refuse(self, claim):
        pass


class SaysNothing(Tiny):
    """Lacks promises, and does not say so."""

    guarantees = Tiny.guarantees._replace(limits=())


class TakesSome(Table):
    """Of several names it takes those that it can get, when it only tries; and forgets them."""

    def enter(self, claim, stay=True):
        granted = super().enter(claim, stay)
        if not granted and not stay and len(claim.wants) > 1:
            for want in claim.wants:
                super().enter(Claim((want,)), stay=False)
        return granted


class SomeOfSeveral(Plain):
    table_class = TakesSome


class Reserving(Table):
    """An ask that another name blocks keeps its slot all the same."""

    def _is_stuck(self, seat):
        return False

    def _in_the_way(self, seat):
        yield from super()._in_the_way(seat)
        for other in self.line_of(seat.name):
            if other is seat:
                return
            if not other.held and seat.mode.kind == "slots":
                yield other


class ReservesSlots(Plain):
    table_class = Reserving


class OneTooMany(Table):
    """Counts the slots from nought."""

    def _in_the_way(self, seat):
        found = list(super()._in_the_way(seat))
        return iter(found if seat.mode.kind != "slots" or len(found) > seat.mode.limit else ())


class TooManySlots(Plain):
    table_class = OneTooMany


class ForkKeeps(Plain):
    """A fork's child believes that it holds."""

    def forked(self):
        pass


class CloseLeavesWaiting(Plain):
    """Closing does not end waiters."""

    def close(self):
        self.closed = True
        for line in list(self.table.lines.values()):
            for seat in list(line):
                if seat.held:
                    self.drop(seat.claim)


class ReachesFar(Plain):
    """Says that the processes of a host exclude each other."""

    guarantees = Plain.guarantees._replace(reach="host", takeover=0.0)


class OnlyMixesUp(Plain):
    """Two names that differ by case are one lock for it."""

    def submit(self, claim, tell):
        wanted = claim.wants
        claim.wants = tuple((name.lower(), mode) for name, mode in wanted)
        return super().submit(claim, tell)


class LosesOrderOfReaders(Table):
    """A reader passes a writer who waits."""

    def _in_the_way(self, seat):
        return (
            other
            for other in super()._in_the_way(seat)
            if other.held or seat.mode == EXCLUSIVE or other.mode != EXCLUSIVE
        )


class ReadersPass(Plain):
    table_class = LosesOrderOfReaders
